"""One small file of every format and library, with the same keys that the real one writes."""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]
WIDTH = 8


def linear(name: str, out: int = WIDTH, into: int = WIDTH, bias: bool = True) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, into)} | ({f"{name}.bias": (out,)} if bias else {})


def conv(name: str, out: int, into: int, side: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, into, side, side)}


def norm(name: str, n: int = WIDTH) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (n,), f"{name}.bias": (n,)}


def batch_norm(name: str, n: int = WIDTH) -> dict[str, tuple[int, ...]]:
    return norm(name, n) | {
        f"{name}.running_mean": (n,),
        f"{name}.running_var": (n,),
        f"{name}.num_batches_tracked": (),
    }


def under(prefix: str, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    return {f"{prefix}{name}": shape for name, shape in shapes.items()}


def merged(*parts: Shapes) -> dict[str, tuple[int, ...]]:
    return {name: shape for part in parts for name, shape in part.items()}


def filled(shapes: Shapes) -> dict[str, Tensor]:
    """Numbers for shapes: counters are whole, variances positive, entries of a queue of length 1."""
    g = torch.Generator().manual_seed(0)
    made = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=g)
        if name.endswith(("num_batches_tracked", "queue_ptr")):
            values = torch.full(shape, 3)
        if name.endswith("queue"):
            values = F.normalize(values, dim=-2)
        made[name] = values.abs() if name.endswith("running_var") else values
    return made


def resnet(stages: int = 4, head: bool = True) -> dict[str, tuple[int, ...]]:
    """A ResNet-18 as torchvision names it, one block a stage."""
    blocks = (
        merged(
            conv(f"layer{k}.0.conv1", WIDTH, WIDTH, 3),
            batch_norm(f"layer{k}.0.bn1"),
            conv(f"layer{k}.0.conv2", WIDTH, WIDTH, 3),
            batch_norm(f"layer{k}.0.bn2"),
        )
        for k in range(1, stages + 1)
    )
    return merged(conv("conv1", WIDTH, 3, 7), batch_norm("bn1"), *blocks, linear("fc", 5) if head else {})


def resnet_sequence() -> dict[str, tuple[int, ...]]:
    """The same as `nn.Sequential(*list(resnet.children())[:-1])`."""
    places = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
    return {
        f"{places[name.partition('.')[0]]}.{name.partition('.')[2]}": shape
        for name, shape in resnet(head=False).items()
    }


def timm_vit(blocks: int = 2) -> dict[str, tuple[int, ...]]:
    inner = (
        merged(
            norm(f"blocks.{k}.norm1"),
            linear(f"blocks.{k}.attn.qkv", 3 * WIDTH),
            linear(f"blocks.{k}.attn.proj"),
            norm(f"blocks.{k}.norm2"),
            linear(f"blocks.{k}.mlp.fc1", 2 * WIDTH),
            linear(f"blocks.{k}.mlp.fc2", WIDTH, 2 * WIDTH),
        )
        for k in range(blocks)
    )
    patches = conv("patch_embed.proj", WIDTH, 3, 4) | {"patch_embed.proj.bias": (WIDTH,)}
    tokens = {"cls_token": (1, 1, WIDTH), "pos_embed": (1, 5, WIDTH)}
    return merged(tokens, patches, *inner, norm("norm"), linear("head", 5))


def timm_efficientnet() -> dict[str, tuple[int, ...]]:
    return merged(
        conv("conv_stem", WIDTH, 3, 3),
        batch_norm("bn1"),
        conv("blocks.0.0.conv_dw", WIDTH, 1, 3),
        batch_norm("blocks.0.0.bn1"),
        conv("blocks.0.0.se.conv_reduce", 2, WIDTH, 1),
        conv("blocks.0.0.conv_pw", WIDTH, WIDTH, 1),
        conv("blocks.1.0.conv_pwl", WIDTH, WIDTH, 1),
        conv("conv_head", WIDTH, WIDTH, 1),
        batch_norm("bn2"),
        linear("classifier", 5),
    )


def efficientnet() -> dict[str, tuple[int, ...]]:
    """An EfficientNet as EfficientNet-PyTorch names it."""
    return merged(
        conv("_conv_stem", WIDTH, 3, 3),
        batch_norm("_bn0"),
        conv("_blocks.0._depthwise_conv", WIDTH, 1, 3),
        batch_norm("_blocks.0._bn1"),
        conv("_blocks.0._project_conv", WIDTH, WIDTH, 1),
        batch_norm("_blocks.0._bn2"),
        conv("_conv_head", WIDTH, WIDTH, 1),
        batch_norm("_bn1"),
        linear("_fc", 5),
    )


def torchvision_vit() -> dict[str, tuple[int, ...]]:
    layer = "encoder.layers.encoder_layer_0"
    return merged(
        {"class_token": (1, 1, WIDTH), "encoder.pos_embedding": (1, 5, WIDTH)},
        conv("conv_proj", WIDTH, 3, 4),
        norm(f"{layer}.ln_1"),
        {f"{layer}.self_attention.in_proj_weight": (3 * WIDTH, WIDTH)},
        linear(f"{layer}.self_attention.out_proj"),
        linear(f"{layer}.mlp.0", 2 * WIDTH),
        norm("encoder.ln"),
        linear("heads.head", 5),
    )


def bert(prefix: str = "") -> dict[str, tuple[int, ...]]:
    layer = "encoder.layer.0"
    shapes = merged(
        {f"embeddings.{n}_embeddings.weight": (20, WIDTH) for n in ("word", "position", "token_type")},
        norm("embeddings.LayerNorm"),
        *(linear(f"{layer}.attention.self.{part}") for part in ("query", "key", "value")),
        linear(f"{layer}.attention.output.dense"),
        norm(f"{layer}.attention.output.LayerNorm"),
        linear(f"{layer}.intermediate.dense", 2 * WIDTH),
        linear(f"{layer}.output.dense", WIDTH, 2 * WIDTH),
        norm(f"{layer}.output.LayerNorm"),
        linear("pooler.dense"),
    )
    return under(prefix, shapes)


def llama() -> dict[str, tuple[int, ...]]:
    layers = (
        merged(
            *(linear(f"model.layers.{k}.self_attn.{part}_proj", bias=False) for part in "qkvo"),
            *(linear(f"model.layers.{k}.mlp.{part}_proj", bias=False) for part in ("gate", "up", "down")),
            {f"model.layers.{k}.input_layernorm.weight": (WIDTH,)},
        )
        for k in range(2)
    )
    table = {"model.embed_tokens.weight": (20, WIDTH), "model.norm.weight": (WIDTH,)}
    return merged(table, *layers, linear("lm_head", 20, bias=False))


def hf_clip() -> dict[str, tuple[int, ...]]:
    towers = (
        merged(
            linear(f"{tower}_model.encoder.layers.0.self_attn.q_proj"),
            norm(f"{tower}_model.encoder.layers.0.layer_norm1"),
            linear(f"{tower}_model.encoder.layers.0.mlp.fc1", 2 * WIDTH),
        )
        for tower in ("text", "vision")
    )
    return merged(
        {"logit_scale": (), "text_model.embeddings.token_embedding.weight": (20, WIDTH)},
        {"vision_model.embeddings.class_embedding": (WIDTH,)},
        conv("vision_model.embeddings.patch_embedding", WIDTH, 3, 4),
        *towers,
        linear("text_projection", 4, bias=False),
        linear("visual_projection", 4, bias=False),
    )


def block(name: str) -> dict[str, tuple[int, ...]]:
    """A residual attention block of open_clip."""
    return merged(
        norm(f"{name}.ln_1"),
        {f"{name}.attn.in_proj_weight": (3 * WIDTH, WIDTH), f"{name}.attn.in_proj_bias": (3 * WIDTH,)},
        linear(f"{name}.attn.out_proj"),
        norm(f"{name}.ln_2"),
        linear(f"{name}.mlp.c_fc", 2 * WIDTH),
        linear(f"{name}.mlp.c_proj", WIDTH, 2 * WIDTH),
    )


def open_clip() -> dict[str, tuple[int, ...]]:
    return merged(
        {"positional_embedding": (7, WIDTH), "text_projection": (WIDTH, 4), "logit_scale": ()},
        {"visual.class_embedding": (WIDTH,), "visual.positional_embedding": (5, WIDTH), "visual.proj": (WIDTH, 4)},
        conv("visual.conv1", WIDTH, 3, 4),
        norm("visual.ln_pre"),
        block("visual.transformer.resblocks.0"),
        norm("visual.ln_post"),
        {"token_embedding.weight": (20, WIDTH)},
        block("transformer.resblocks.0"),
        block("transformer.resblocks.1"),
        norm("ln_final"),
    )


def siglip() -> dict[str, tuple[int, ...]]:
    """What open_clip writes for a SigLIP: a trunk of timm and a text tower of its own."""
    return merged(
        {"logit_scale": (), "logit_bias": ()},
        under("visual.trunk.", timm_vit()),
        under("text.", {"token_embedding.weight": (20, WIDTH), "positional_embedding": (7, WIDTH)}),
        under("text.", merged(block("transformer.resblocks.0"), norm("ln_final"), linear("text_projection"))),
    )


def moco() -> dict[str, tuple[int, ...]]:
    encoder = merged(resnet(head=False), linear("fc.0"), linear("fc.2", 4))
    return merged(
        under("module.encoder_q.", encoder),
        under("module.encoder_k.", encoder),
        {"module.queue": (4, 64), "module.queue_ptr": (1,)},
    )


def solo() -> dict[str, tuple[int, ...]]:
    projector = merged(linear("projector.0"), linear("projector.2", 4))
    return merged(
        under("backbone.", resnet(head=False)),
        linear("classifier", 5),
        projector,
        under("momentum_backbone.", resnet(head=False)),
        under("momentum_", projector),
        {"queue": (2, 4, 64), "queue_ptr": (1,)},
    )


def lightly() -> dict[str, tuple[int, ...]]:
    head = merged(linear("projection_head.layers.0"), linear("projection_head.layers.2", 4))
    follower = {name.replace("projection_head", "projection_head_momentum"): shape for name, shape in head.items()}
    return merged(under("backbone.", resnet_sequence()), head, under("backbone_momentum.", resnet_sequence()), follower)


def cml() -> dict[str, tuple[int, ...]]:
    return {
        "user_embedding.weight": (30, WIDTH),
        "item_embedding.weight": (40, WIDTH),
        "user_bias.weight": (30, 1),
        "item_bias.weight": (40, 1),
    }


def coot_network(context: bool) -> dict[str, tuple[int, ...]]:
    def layer(name: str) -> dict[str, tuple[int, ...]]:
        attention, forward = f"{name}.self_attention_layer", f"{name}.pointwise_feedforward_layer"
        return merged(
            *(linear(f"{attention}.sublayer.{part}_projection") for part in ("query", "key", "value", "final")),
            {f"{attention}.layer_normalization.gain": (WIDTH,), f"{attention}.layer_normalization.bias": (WIDTH,)},
            linear(f"{forward}.sublayer.feed_forward.0"),
            linear(f"{forward}.sublayer.feed_forward.3"),
        )

    pool = {"genpool_w1_head": (2, WIDTH, 4), "genpool_b1_head": (2, 4), "genpool_one": (1,)}
    return merged(
        {"norm_input.gain": (WIDTH,), "norm_input.bias": (WIDTH,)},
        linear("input_fc.mlp.0"),
        layer("tf.encoder_layers.0"),
        layer("tf_context.encoder_layers.0") if context else {},
        under("pooler.pools.0.", pool),
    )


COOT = ("net_video_local", "net_video_global", "net_text_local", "net_text_global")


def gmc() -> dict[str, tuple[int, ...]]:
    return merged(
        conv("image_processor.image_features.0", WIDTH, 1, 4),
        linear("image_processor.projector"),
        conv("sound_processor.sound_features.0", WIDTH, 1, 4),
        batch_norm("sound_processor.sound_features.1"),
        linear("sound_processor.projector"),
        linear("label_processor.projector", WIDTH, 10),
        conv("joint_processor.img_features.0", WIDTH, 1, 4),
        linear("joint_processor.projector", WIDTH, 3 * WIDTH),
        *(linear(f"encoder.feature_extractor.{k}") for k in (0, 2, 4)),
    )


def sgd(values: Mapping[str, Tensor]) -> dict[str, Any]:
    """The state of SGD with momentum for some of the weights."""
    weights = [value for value in values.values() if value.ndim > 1][:3]
    group = {"lr": 0.03, "momentum": 0.9, "weight_decay": 1e-4, "params": list(range(len(weights)))}
    state = {place: {"momentum_buffer": torch.full_like(value, 0.1)} for place, value in enumerate(weights)}
    return {"state": state, "param_groups": [group]}


def adam(values: Mapping[str, Tensor], steps: int = 40) -> dict[str, Any]:
    """The state of Adam for some of the weights; the last one never had a gradient."""
    weights = [value for value in values.values() if value.ndim > 1][:3]
    group = {"lr": 1e-3, "betas": (0.9, 0.999), "weight_decay": 0.01, "params": list(range(len(weights)))}
    state = {
        place: {
            "step": torch.tensor(float(steps)),
            "exp_avg": torch.full_like(value, 0.0 if place == len(weights) - 1 else 0.1),
            "exp_avg_sq": torch.full_like(value, 0.0 if place == len(weights) - 1 else 0.2),
        }
        for place, value in enumerate(weights)
    }
    return {"state": state, "param_groups": [group]}


def lightning(values: Mapping[str, Tensor], optimiser: dict[str, Any]) -> dict[str, Any]:
    """What a trainer of Lightning puts around a state dict."""
    return {
        "epoch": 3,
        "global_step": 40,
        "pytorch-lightning_version": "2.1.0",
        "state_dict": dict(values),
        "loops": {"fit_loop": {"epoch_progress": {"current": {"completed": 3}}}},
        "callbacks": {},
        "optimizer_states": [optimiser],
        "lr_schedulers": [{"last_epoch": 3, "base_lrs": [0.06]}],
        "hyper_parameters": {"lr": 0.06, "temperature": 0.2},
    }


@functools.cache
def own_run() -> dict[str, Any]:
    """The checkpoint of a run of ours with a queue and a learned temperature, after two steps."""
    from core.addresses import read
    from core.data.loading import load
    from core.recipe import Recipe
    from core.runs.trainer import Trainer

    small = {"data.kind": "circle", "encoder.vector.width": "16", "encoder.dim": "3", "method.batch": "16"}
    asked = small | {"loss.kind": "clip", "loss.learned": "on", "method.kind": "queue", "method.size": "32"}
    recipe, refused = read(asked, Recipe())
    assert refused == []
    trainer = Trainer(recipe, load(recipe.data), torch.device("cpu"))
    for _ in range(2):
        trainer.advance()
    return trainer.state()


def tensors(shapes: Shapes) -> Callable[[Path], Path]:
    """Save as .safetensors, as the hub does."""

    def save(file: Path) -> Path:
        save_file(filled(shapes), file, metadata={"format": "pt"})
        return file

    return save


def pickled(content: Callable[[], Any]) -> Callable[[Path], Path]:
    """Save with torch."""

    def save(file: Path) -> Path:
        torch.save(content(), file)
        return file

    return save


def sharded(shapes: Shapes) -> Callable[[Path], Path]:
    """Two parts and their index, which is the file to open."""

    def save(file: Path) -> Path:
        names, parts = list(shapes), ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
        weight_map = {name: parts[place > len(names) // 2] for place, name in enumerate(names)}
        for part in parts:
            own = {name: shapes[name] for name in names if weight_map[name] == part}
            save_file(filled(own), file.parent / part, metadata={"format": "pt"})
        file.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
        return file

    return save


def _trained_clip() -> dict[str, Any]:
    values = filled(under("module.", open_clip()))
    return {"epoch": 1, "name": "ViT-tiny", "state_dict": values, "optimizer": adam(values)}


def _timm_training() -> dict[str, Any]:
    values = filled(timm_vit())
    return {"epoch": 1, "arch": "vit_tiny", "state_dict": values, "state_dict_ema": filled(timm_vit()), "version": 2}


def _moco_training() -> dict[str, Any]:
    values = filled(moco())
    return {"epoch": 200, "arch": "resnet18", "state_dict": values, "optimizer": sgd(values)}


# File name -> how it is saved, the family that it belongs to, and a word of its layout.
HONEST: Mapping[str, tuple[Callable[[Path], Path], str, str]] = {
    "checkpoint.pt": (pickled(own_run), "pushpull", "tower"),
    "moco_v2_200ep.pth.tar": (pickled(_moco_training), "moco", "queue"),
    "lightly.ckpt": (pickled(lambda: lightning(filled(lightly()), sgd(filled(lightly())))), "lightly", "projection"),
    "solo.ckpt": (pickled(lambda: lightning(filled(solo()), sgd(filled(solo())))), "solo-learn", "projector"),
    "vit_tiny.safetensors": (tensors(timm_vit()), "timm", "vision transformer"),
    "last.pth": (pickled(_timm_training), "timm", "vision transformer"),
    "pytorch_model.bin": (pickled(lambda: filled(timm_efficientnet())), "timm", "EfficientNet"),
    "efficientnet-b0.pth": (pickled(lambda: filled(efficientnet())), "efficientnet-pytorch", "EfficientNet"),
    "resnet18-5c106cde.pth": (pickled(lambda: filled(resnet())), "torchvision", "ResNet"),
    "vit_b_16.pth": (pickled(lambda: filled(torchvision_vit())), "torchvision", "vision transformer"),
    "model.safetensors": (tensors(bert()), "transformers", "BERT"),
    "clip.safetensors": (tensors(hf_clip()), "transformers", "CLIP"),
    "model.safetensors.index.json": (sharded(llama()), "transformers", "Llama"),
    "open_clip_model.safetensors": (tensors(siglip()), "open_clip", "pictures"),
    "epoch_1.pt": (pickled(_trained_clip), "open_clip", "pictures"),
    "sbert.bin": (
        pickled(lambda: filled(merged(bert("0.auto_model."), linear("2.linear", 4)))),
        "sentence-transformers",
        "transformer",
    ),
    "cml.pth": (pickled(lambda: filled(cml())), "pytorchcml", "users"),
    "model_24.pth": (
        pickled(lambda: {name: filled(coot_network("global" in name)) for name in COOT}),
        "coot",
        "videos",
    ),
    "coot_old.pth": (pickled(lambda: [filled(coot_network("global" in name)) for name in COOT]), "coot", "videos"),
    "gmc_model.pt": (pickled(lambda: {"state_dict": filled(gmc())}), "gmc", "joint"),
}
