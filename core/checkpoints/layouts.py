"""How libraries name the tensors that they save, as data: which names give a family away, and what each name is for.

Patterns are regular expressions that must fit the beginning of a name, after wrappers were taken off. Families are
tried in order, and roles within a family too.
"""

from dataclasses import dataclass
from typing import Literal

Role = Literal["backbone", "projector", "predictor", "head", "queue", "teacher", "temperature", "optimiser", "other"]


@dataclass(frozen=True)
class Sign:
    """Names that a family always has; `ndim` are the dimensions that such a tensor can have, empty for any."""

    pattern: str
    ndim: tuple[int, ...] = ()


@dataclass(frozen=True)
class Expected:
    """What a whole file of a family has, and what to say where nothing fits; only asked where a name fits `when`."""

    pattern: str
    missing: str
    when: str = ""


@dataclass(frozen=True)
class Family:
    """A way to name tensors.

    `layout`: which network is named so. `signs`: all of them have to be there. `roles`: what names are for.
    `also`: who else names tensors so. `blocks`: a pattern whose group numbers the blocks from 0. `inside`: a prefix
    behind which a network lies that has names of its own. `equal`: a pattern and an axis; these sides are all alike.
    `remarks`: what a name tells where it is there, a sentence. `trains`: a file of it is saved to go on training.
    """

    key: str
    title: str
    layout: str
    signs: tuple[Sign, ...]
    roles: tuple[tuple[str, Role], ...]
    expects: tuple[Expected, ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()
    also: str = ""
    blocks: str = ""
    inside: str = ""
    equal: tuple[tuple[str, int], ...] = ()
    trains: bool = False


NO_HEAD = "a classification head: the network ends at its features, which is what embeddings need"
NO_SCALE = "logit_scale: the temperature that it was trained with cannot be told"
HF = r"(\w+\.)?"
COOT = r"(net_(video|text)_(local|global)|[0-3])\."

FAMILIES = (
    Family(
        key="pushpull",
        title="a run of Pushpull",
        layout="one tower for each kind of modality",
        signs=(Sign(r"(model\.)?towers\.[^.]+\.[\w.]*weight$"),),
        roles=(
            (r"teacher\.(bank|labels)$|memory\.", "queue"),
            (r"teacher\.", "teacher"),
            (r"learned\.", "temperature"),
            (r"companion\.", "other"),
            (r"kept\.", "other"),
            (r"(model\.)?(towers|joint)\.", "backbone"),
        ),
        expects=(Expected(r"teacher\.bank$", "the bank of the teacher", when=r"teacher\."),),
        trains=True,
    ),
    Family(
        key="moco",
        title="MoCo",
        layout="a query encoder, a key encoder that follows it, and a queue of keys",
        signs=(Sign(r"encoder_q\.[\w.]+"),),
        roles=(
            (r"encoder_k\.", "teacher"),
            (r"queue(_ptr)?$", "queue"),
            (r"encoder_q\.(fc|head|projector|projection_head)\.", "projector"),
            (r"encoder_q\.", "backbone"),
        ),
        expects=(
            Expected(
                r"encoder_k\.",
                "the key encoder (encoder_k): embedding needs the query encoder alone, going on "
                "with the training needs both",
            ),
            Expected(r"queue$", "the queue of keys: going on with the training starts with an empty one"),
            Expected(
                r"encoder_q\.(fc|head|projector|projection_head)\.",
                "the projector (encoder_q.fc): the queue's space cannot be reached, the features before it can",
            ),
        ),
        inside="encoder_q.",
        trains=True,
    ),
    Family(
        key="moco",
        title="MoCo v3",
        layout="a base encoder, a momentum encoder and a predictor, without a queue",
        signs=(Sign(r"base_encoder\.[\w.]+"),),
        roles=(
            (r"momentum_encoder\.", "teacher"),
            (r"predictor\.", "predictor"),
            (r"base_encoder\.(fc|head|projector)\.", "projector"),
            (r"base_encoder\.", "backbone"),
        ),
        expects=(
            Expected(r"momentum_encoder\.", "the momentum encoder: embedding needs the base encoder alone"),
            Expected(r"predictor\.", "the predictor: going on with the training needs it"),
        ),
        inside="base_encoder.",
        trains=True,
    ),
    Family(
        key="lightly",
        title="lightly",
        layout="a backbone with a projection head",
        signs=(Sign(r"backbone\.[\w.]+"), Sign(r"projection_head\.[\w.]+")),
        roles=(
            (r"(backbone|projection_head|teacher\w*|student\w*)_momentum\.|teacher_\w+\.", "teacher"),
            (r"projection_head\.", "projector"),
            (r"prediction_head\.", "predictor"),
            (r"(\w+\.)*(memory_bank\.)?bank(_ptr)?$", "queue"),
            (r"(prototypes|\w*classifier\w*|fc)\.", "head"),
            (r"backbone\.", "backbone"),
        ),
        expects=(
            Expected(r"projection_head_momentum\.", "the following projection head", when=r"backbone_momentum\."),
            Expected(
                r"(\w+\.)*bank$",
                "the memory bank, which recent versions of lightly never save",
                when=r"backbone_momentum\.",
            ),
        ),
        inside="backbone.",
        trains=True,
    ),
    Family(
        key="solo-learn",
        title="solo-learn",
        layout="a backbone with a projector and an online classifier",
        signs=(Sign(r"backbone\.[\w.]+"), Sign(r"projector\.[\w.]+")),
        roles=(
            (r"momentum_\w+\.", "teacher"),
            (r"queue(_ptr|_y)?$", "queue"),
            (r"projector\.", "projector"),
            (r"predictor\.", "predictor"),
            (r"(classifier|prototypes)\.", "head"),
            (r"backbone\.", "backbone"),
        ),
        expects=(
            Expected(
                r"classifier\.",
                "the online classifier, which solo-learn always keeps: it was removed, or other "
                "code with the same names wrote the file",
            ),
            Expected(r"momentum_projector\.", "the following projector", when=r"momentum_backbone\."),
        ),
        inside="backbone.",
        trains=True,
    ),
    Family(
        key="open_clip",
        title="open_clip",
        layout="a tower for pictures and one for texts",
        signs=(Sign(r"visual\.[\w.]+"), Sign(r"(text\.)?(token_embedding|transformer|ln_final)\.|logit_scale$")),
        roles=(
            (r"logit_(scale|bias)$", "temperature"),
            (r"visual\.(proj$|head\.|trunk\.head\.)|(text\.)?text_projection|text\.proj\.", "projector"),
            (r"visual\.", "backbone"),
            (r"(text\.)?(token_embedding|transformer|positional_embedding|ln_final|cls_emb|attn_mask)", "backbone"),
            (r"(input_resolution|context_length|vocab_size)$", "other"),
        ),
        expects=(
            Expected(r"logit_scale$", NO_SCALE),
            Expected(r"(text\.)?(token_embedding|transformer|ln_final)\.", "the tower for texts"),
        ),
        remarks=((r"logit_bias$", "It has a logit_bias, so it pays pair by pair through a sigmoid, as SigLIP does."),),
        also="OpenAI's CLIP",
        blocks=r"(?:text\.)?transformer\.resblocks\.(\d+)\.",
        equal=((r"visual\.proj$", 1), (r"(text\.)?text_projection$", 1)),
    ),
    Family(
        key="transformers",
        title="Hugging Face transformers",
        layout="a CLIP or SigLIP",
        signs=(Sign(r"(text|vision)_model\.(embeddings|encoder)\."),),
        roles=(
            (r"logit_(scale|bias)$", "temperature"),
            (r"(text|visual)_projection\.|(text|vision)_model\.head\.", "projector"),
            (r"(text|vision)_model\.", "backbone"),
        ),
        expects=(
            Expected(r"logit_scale$", NO_SCALE),
            Expected(r"text_model\.", "the tower for texts"),
            Expected(r"vision_model\.", "the tower for pictures"),
        ),
        remarks=((r"logit_bias$", "It has a logit_bias, so it pays pair by pair through a sigmoid, as SigLIP does."),),
        blocks=r"vision_model\.encoder\.layers\.(\d+)\.",
        equal=((r"text_projection\.weight$", 0), (r"visual_projection\.weight$", 0)),
    ),
    Family(
        key="sentence-transformers",
        title="sentence-transformers",
        layout="a transformer and the modules behind it",
        signs=(Sign(r"\d+\.auto_model\.[\w.]+"),),
        roles=((r"\d+\.auto_model\.", "backbone"), (r"\d+\.linear\.", "projector")),
        inside="0.auto_model.",
    ),
    Family(
        key="transformers",
        title="Hugging Face transformers",
        layout="a BERT, RoBERTa or MPNet",
        signs=(
            Sign(HF + r"embeddings\.word_embeddings\.weight$", (2,)),
            Sign(HF + r"encoder\.layer\.\d+\.attention\.(self\.query|attn\.q)\.weight$", (2,)),
        ),
        roles=(
            (HF + r"(embeddings|encoder|pooler)\.", "backbone"),
            (r"(cls|lm_head|classifier|qa_outputs|predictions)\.", "head"),
        ),
        also="sentence-transformers, which keeps the pooling in modules.json beside the file",
        blocks=HF.replace("(", "(?:") + r"encoder\.layer\.(\d+)\.",
    ),
    Family(
        key="transformers",
        title="Hugging Face transformers",
        layout="a DistilBERT",
        signs=(Sign(HF + r"transformer\.layer\.\d+\.attention\.q_lin\.weight$", (2,)),),
        roles=(
            (HF + r"(embeddings|transformer)\.", "backbone"),
            (r"(pre_classifier|classifier|vocab_\w+|qa_outputs)\.", "head"),
        ),
        also="sentence-transformers, which keeps the pooling in modules.json beside the file",
        blocks=HF.replace("(", "(?:") + r"transformer\.layer\.(\d+)\.",
    ),
    Family(
        key="transformers",
        title="Hugging Face transformers",
        layout="a ViT",
        signs=(
            Sign(HF + r"embeddings\.patch_embeddings\.projection\.weight$", (4,)),
            Sign(HF + r"encoder\.layer\.\d+\.attention\.attention\.query\.weight$", (2,)),
        ),
        roles=((HF + r"(embeddings|encoder|layernorm|pooler)\.", "backbone"), (r"classifier\.", "head")),
        blocks=HF.replace("(", "(?:") + r"encoder\.layer\.(\d+)\.",
    ),
    Family(
        key="transformers",
        title="Hugging Face transformers",
        layout="a GPT-2",
        signs=(Sign(r"(transformer\.)?h\.\d+\.attn\.c_attn\.weight$", (2,)),),
        roles=((r"(transformer\.)?(h|wte|wpe|ln_f)\.", "backbone"), (r"(lm_head|score)\.", "head")),
        blocks=r"(?:transformer\.)?h\.(\d+)\.",
    ),
    Family(
        key="transformers",
        title="Hugging Face transformers",
        layout="a decoder as Llama, Mistral and Qwen name it",
        signs=(
            Sign(r"(model\.)?embed_tokens\.weight$", (2,)),
            Sign(r"(model\.)?layers\.\d+\.self_attn\.q_proj\.weight$", (2,)),
        ),
        roles=((r"(model\.)?(embed_tokens|layers|norm|rotary_emb)\.", "backbone"), (r"(lm_head|score)\.", "head")),
        blocks=r"(?:model\.)?layers\.(\d+)\.",
    ),
    Family(
        key="transformers",
        title="Hugging Face transformers",
        layout="a T5",
        signs=(Sign(r"(encoder|decoder)\.block\.\d+\.layer\.0\.SelfAttention\.q\.weight$", (2,)),),
        roles=((r"(shared|encoder|decoder)\.", "backbone"), (r"lm_head\.", "head")),
        blocks=r"encoder\.block\.(\d+)\.",
    ),
    Family(
        key="pytorchcml",
        title="PyTorchCML",
        layout="an embedding of users and one of items",
        signs=(Sign(r"user_embedding\.weight$", (2,)), Sign(r"item_embedding\.weight$", (2,))),
        roles=(
            (r"(user|item)_embedding\.", "backbone"),
            (r"(user|item)_adaptor\.", "projector"),
            (r"(user|item)_bias\.", "head"),
        ),
        expects=(Expected(r"item_bias\.", "the bias of the items", when=r"user_bias\."),),
        remarks=(
            (r"user_bias\.", "It has biases, so it scores by inner products (matrix factorisation), not by distances."),
        ),
        equal=((r"user_embedding\.weight$", 1), (r"item_embedding\.weight$", 1)),
    ),
    Family(
        key="coot",
        title="COOT",
        layout="a local and a global transformer for videos and for texts",
        signs=(Sign(COOT + r"tf\.encoder_layers\.\d+\.self_attention_layer\."),),
        roles=((COOT, "backbone"),),
        expects=(
            Expected(r"(net_video_local|0)\.", "the local network for videos"),
            Expected(r"(net_video_global|1)\.", "the global network for videos"),
            Expected(r"(net_text_local|2)\.", "the local network for texts"),
            Expected(r"(net_text_global|3)\.", "the global network for texts"),
        ),
    ),
    Family(
        key="gmc",
        title="GMC",
        layout="a processor for each modality, a joint one, and a shared encoder behind them",
        signs=(Sign(r"joint_processor\.[\w.]+"), Sign(r"(?!joint)\w+_processor\.[\w.]+")),
        roles=((r"\w+_processor\.", "backbone"), (r"encoder\.", "projector")),
        expects=(Expected(r"encoder\.", "the shared encoder: the modalities do not meet without it"),),
    ),
    Family(
        key="timm",
        title="timm",
        layout="a vision transformer",
        signs=(
            Sign(r"patch_embed\.proj\.weight$", (4,)),
            Sign(r"blocks\.\d+\.attn\.qkv\.weight$", (2,)),
        ),
        roles=(
            (r"(head|head_dist)\.", "head"),
            (r"(cls_token|dist_token|reg_token|pos_embed)$", "backbone"),
            (r"(patch_embed|blocks|norm|norm_pre|fc_norm|attn_pool)\.", "backbone"),
        ),
        expects=(Expected(r"head\.", NO_HEAD),),
        also="DINO, DeiT and MAE",
        blocks=r"blocks\.(\d+)\.",
    ),
    Family(
        key="timm",
        title="timm",
        layout="a Swin transformer",
        signs=(
            Sign(r"patch_embed\.proj\.weight$", (4,)),
            Sign(r"layers\.\d+\.blocks\.\d+\.attn\.relative_position_bias_table$"),
        ),
        roles=((r"head\.", "head"), (r"(patch_embed|layers|norm|absolute_pos_embed)", "backbone")),
        expects=(Expected(r"head\.", NO_HEAD),),
        also="the authors of Swin",
        blocks=r"layers\.(\d+)\.",
    ),
    Family(
        key="timm",
        title="timm",
        layout="an EfficientNet or MobileNet",
        signs=(Sign(r"conv_stem\.weight$", (4,)), Sign(r"blocks\.\d+\.\d+\.conv_\w+\.weight$", (4,))),
        roles=((r"classifier\.", "head"), (r"(conv_stem|bn1|blocks|conv_head|bn2|norm_head)\.", "backbone")),
        expects=(Expected(r"classifier\.", NO_HEAD),),
        blocks=r"blocks\.(\d+)\.",
    ),
    Family(
        key="timm",
        title="timm",
        layout="a ConvNeXt",
        signs=(Sign(r"stem\.0\.weight$", (4,)), Sign(r"stages\.\d+\.blocks\.\d+\.conv_dw\.weight$", (4,))),
        roles=((r"head\.fc\.", "head"), (r"(stem|stages|norm_pre|head\.norm)\.", "backbone")),
        expects=(Expected(r"head\.fc\.", NO_HEAD),),
        blocks=r"stages\.(\d+)\.",
    ),
    Family(
        key="timm",
        title="timm",
        layout="a ResNet with a deep stem",
        signs=(Sign(r"conv1\.0\.weight$", (4,)), Sign(r"layer1\.0\.conv1\.weight$", (4,))),
        roles=((r"fc\.", "head"), (r"(conv1|bn1|layer[1-4])\.", "backbone")),
        expects=(Expected(r"layer4\.", "the last stage (layer4)"), Expected(r"fc\.", NO_HEAD)),
    ),
    Family(
        key="efficientnet-pytorch",
        title="EfficientNet-PyTorch",
        layout="an EfficientNet",
        signs=(Sign(r"_conv_stem\.weight$", (4,)), Sign(r"_blocks\.\d+\._depthwise_conv\.weight$", (4,))),
        roles=((r"_fc\.", "head"), (r"(_conv_stem|_bn0|_blocks|_conv_head|_bn1)\.", "backbone")),
        expects=(Expected(r"_fc\.", NO_HEAD),),
        blocks=r"_blocks\.(\d+)\.",
    ),
    Family(
        key="torchvision",
        title="torchvision",
        layout="a ResNet",
        signs=(
            Sign(r"conv1\.weight$", (4,)),
            Sign(r"bn1\.weight$", (1,)),
            Sign(r"layer1\.0\.conv1\.weight$", (4,)),
        ),
        roles=((r"fc\.", "head"), (r"(conv1|bn1|layer[1-4])\.", "backbone")),
        expects=(Expected(r"layer4\.", "the last stage (layer4)"), Expected(r"fc\.", NO_HEAD)),
        also="timm",
    ),
    Family(
        key="torchvision",
        title="torchvision",
        layout="a ResNet as a plain sequence of its stages",
        signs=(Sign(r"0\.weight$", (4,)), Sign(r"4\.0\.conv1\.weight$", (4,))),
        roles=((r"[0-7]\.", "backbone"), (r"[89]\.", "head")),
        expects=(Expected(r"7\.", "the last stage (7)"),),
        also="timm",
    ),
    Family(
        key="torchvision",
        title="torchvision",
        layout="a vision transformer",
        signs=(Sign(r"conv_proj\.weight$", (4,)), Sign(r"encoder\.layers\.encoder_layer_\d+\.self_attention\.")),
        roles=((r"heads\.", "head"), (r"class_token$|(conv_proj|encoder)\.", "backbone")),
        expects=(Expected(r"heads\.", NO_HEAD),),
        blocks=r"encoder\.layers\.encoder_layer_(\d+)\.",
    ),
    Family(
        key="torchvision",
        title="torchvision",
        layout="a network of features and a classifier",
        signs=(Sign(r"features\.(\d+|conv0)\.[\w.]*weight$"), Sign(r"classifier\.[\w.]*weight$", (2,))),
        roles=((r"classifier\.", "head"), (r"(features|avgpool)\.", "backbone")),
    ),
)

# Boxes in which training code puts a state dict; taken off wherever they stand first.
BOXES = ("state_dict", "model_state_dict", "model_state", "net_state_dict", "weights")
# The same, where everything beside the optimiser lies in them.
SHELLS = ("model", "net", "network", "params", "core_model")
# Boxes of a moving average of the weights.
AVERAGES = (
    "ema",
    "model_ema",
    "ema_model",
    "state_dict_ema",
    "ema_state_dict",
    "model_ema_state_dict",
    "averaged_model",
)
# Modules that others are wrapped into, anywhere in a name.
INSERTED = ("module", "_orig_mod", "_fsdp_wrapped_module", "_forward_module")

OPTIMISER = r"(.*\.)?state\.\d+\.\w+$|(optimi[sz]er\w*|opt|optim|scaler|\w*scheduler\w*)\."
LIGHTNING = r"pytorch-lightning_version$"

# What names are commonly for, where no family is known; each may stand anywhere between dots.
COMMON: tuple[tuple[str, Role], ...] = (
    (r"(queue|memory_bank|bank|queue_ptr|queue_y|bank_ptr)$", "queue"),
    (r"(logit_scale|logit_bias|(log_)?temperature|(log_)?tau|temp|t_prime)$", "temperature"),
    (r"(\w*teacher\w*|\w*momentum\w*|target_\w+|encoder_k|key_encoder|ema\w*)\.", "teacher"),
    (r"(predictor|prediction_head)\.", "predictor"),
    (r"(projector|projection_head|projection|proj_head|text_projection|visual_projection)(\.|$)", "projector"),
    (r"(heads?|fc|classifier|lm_head|prototypes)\.", "head"),
    (r"(backbone|encoder\w*|features|visual|transformer|trunk|\w*tower|student\w*|online\w*)\.", "backbone"),
)
