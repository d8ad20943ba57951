"""Networks of other libraries: against small stand-ins of timm, open_clip and transformers, which are not installed."""

import os
import sys
from fnmatch import fnmatch
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core.checkpoints import extras, fence
from core.checkpoints.families import recognise
from core.checkpoints.opened import Checkpoint, open_checkpoint
from core.data.emoji import Emoji
from core.data.loading import load
from core.environment import ROOT
from core.refusal import Refusal

SIZE = {"train": extras.TRAIN, "test": extras.TEST}
WIDTH, CONFIG = 4, {"input_size": (3, 8, 8), "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")


def plant(monkeypatch, name: str, **content) -> None:
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    for key, value in content.items():
        setattr(module, key, value)
    monkeypatch.setitem(sys.modules, name, module)


def kept(tmp_path, network: nn.Module, **more) -> Checkpoint:
    torch.save({"state_dict": network.state_dict() | more}, tmp_path / "some.pth")
    return open_checkpoint(fence.add([tmp_path / "some.pth"]))


def module(**parts: nn.Module) -> nn.Module:
    made = nn.Module()
    for name, part in parts.items():
        made.add_module(name, part)
    return made


class Vit(nn.Module):
    """The names of a vision transformer with one block, and none of its work."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.patch_embed = module(proj=nn.Conv2d(3, width, 4, 4))
        self.blocks = nn.ModuleList([module(attn=module(qkv=nn.Linear(width, 3 * width)))])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks[0].attn.qkv(self.patch_embed.proj(x).mean(dim=(2, 3)))


def timm(monkeypatch) -> list[str]:
    """A timm with two transformers; which were asked for."""
    asked, known = [], {"resnet18": 9, "vit_large": 6, "vit_small": WIDTH}

    def create_model(name: str, pretrained: bool, num_classes: int) -> nn.Module:
        assert (pretrained, num_classes) == (False, 0)
        asked.append(name)
        return Vit(known[name])

    def list_models(pattern: str) -> list[str]:
        return [name for name in known if fnmatch(name, pattern)]

    data = SimpleNamespace(resolve_model_data_config=lambda network: CONFIG)
    plant(monkeypatch, "timm", create_model=create_model, list_models=list_models, data=data)
    return asked


def test_the_first_network_of_timm_that_fits_embeds_pictures_with_the_numbers_of_the_file(monkeypatch, tmp_path):
    asked, network = timm(monkeypatch), Vit(WIDTH)
    found = extras.embed(kept(tmp_path, network, **{"head.weight": torch.ones(5, WIDTH)}))
    assert asked[:2] == ["vit_large", "vit_small"]
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert "'vit_small' of timm" in found.said[0]
    emoji = load(Emoji(modalities=("noto", "twemoji")))
    parts = {name: extras.evenly(getattr(emoji.split, name), most) for name, most in SIZE.items()}
    rows = torch.cat(list(parts.values())).sort().values
    mean, std = (torch.tensor(CONFIG[name])[:, None, None] for name in ("mean", "std"))
    with torch.no_grad():
        x = F.interpolate(emoji.modality("twemoji").values[rows], (8, 8), mode="bilinear", antialias=True)
        expected = F.normalize(network((x - mean) / std), dim=1)
    torch.testing.assert_close(found.z["twemoji"], expected, rtol=1e-5, atol=1e-5)
    assert found.data.names == tuple(emoji.names[row] for row in rows.tolist())
    assert torch.equal(found.data.labels, emoji.labels[rows])
    for name, part in parts.items():
        assert torch.equal(rows[getattr(found.data.split, name)], part)
        assert len(part.unique()) == SIZE[name]
    assert not torch.allclose(found.random[0]["noto"], found.z["noto"])


@pytest.mark.parametrize("more", [{"patch_embed.proj.bias": torch.ones(9)}, {"blocks.0.norm1.weight": torch.ones(4)}])
def test_a_network_that_timm_has_not_is_refused(more, monkeypatch, tmp_path):
    timm(monkeypatch)
    with pytest.raises(Refusal, match=r"None of 2 networks of timm has tensors like"):
        extras.embed(kept(tmp_path, Vit(WIDTH), **more))


class Clip(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.visual = module(conv1=nn.Conv2d(3, width, 4, 4))
        self.token_embedding, self.logit_scale = nn.Embedding(50, width), nn.Parameter(torch.zeros(()))
        self.ln_final = nn.LayerNorm(width)

    def encode_image(self, x: torch.Tensor) -> torch.Tensor:
        return self.visual.conv1(x).mean(dim=(2, 3))

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.ln_final(self.token_embedding(tokens)).mean(dim=1)


def test_both_towers_of_open_clip_embed_the_drawing_and_the_name(monkeypatch, tmp_path):
    sizes = {"far": 6, "near": WIDTH, "hub": WIDTH}
    plant(
        monkeypatch,
        "open_clip",
        list_models=lambda: ["hub", "far", "near"],
        get_model_config=lambda name: {"text_cfg": {"hf_model_name": "x"} if name == "hub" else {}},
        create_model=lambda name, pretrained: Clip(sizes[name]),
        get_tokenizer=lambda name: lambda texts: torch.tensor([[len(text) % 50, ord(text[0]) % 50] for text in texts]),
        get_model_preprocess_cfg=lambda network: {"size": 8, "mean": CONFIG["mean"], "std": CONFIG["std"]},
    )
    network = Clip(WIDTH)
    found = extras.embed(kept(tmp_path, network))
    assert "'near' of open_clip" in found.said[0]
    names = found.data.modality("en").values
    with torch.no_grad():
        tokens = torch.tensor([[len(text) % 50, ord(text[0]) % 50] for text in names])
        expected = F.normalize(network.encode_text(tokens), dim=1)
    torch.testing.assert_close(found.z["en"], expected, rtol=1e-5, atol=1e-5)
    assert found.z["noto"].shape == (extras.TRAIN + extras.TEST, WIDTH)


class Bert(nn.Module):
    def __init__(self, config: SimpleNamespace, add_pooling_layer: bool) -> None:
        super().__init__()
        width, tables = config.hidden_size, ("vocab_size", "max_position_embeddings", "type_vocab_size")
        words, places, kinds = (nn.Embedding(getattr(config, name), width) for name in tables)
        self.embeddings = module(word_embeddings=words, position_embeddings=places, token_type_embeddings=kinds)
        layer = module(
            attention=module(self=module(query=nn.Linear(width, width))),
            intermediate=module(dense=nn.Linear(width, config.intermediate_size)),
        )
        self.encoder = module(layer=nn.ModuleList([layer] * config.num_hidden_layers))
        assert not add_pooling_layer

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=self.embeddings.word_embeddings(input_ids))


def transformers(monkeypatch, here: bool) -> None:
    def tokens(texts, **settings) -> dict[str, torch.Tensor]:
        ids = torch.tensor([[ord(text[0]) % 90, 1 + len(text) % 90, 0] for text in texts])
        return {"input_ids": ids, "attention_mask": (ids > 0).long()}

    def from_pretrained(name: str, local_files_only: bool):
        assert local_files_only
        if not here:
            raise OSError("not on this machine")
        return tokens

    plant(
        monkeypatch,
        "transformers",
        BertConfig=lambda **settings: SimpleNamespace(**settings),
        BertModel=Bert,
        AutoTokenizer=SimpleNamespace(from_pretrained=from_pretrained),
    )


SIZES = SimpleNamespace(
    hidden_size=8, vocab_size=30522, max_position_embeddings=9, type_vocab_size=2, intermediate_size=12,
    num_hidden_layers=1,
)  # fmt: skip


def test_a_bert_embeds_names_by_the_mean_of_its_words_without_those_that_are_padding(monkeypatch, tmp_path):
    transformers(monkeypatch, here=True)
    network = Bert(SIZES, add_pooling_layer=False)
    found = extras.embed(kept(tmp_path, network))
    assert "1 heads are assumed" in found.said[0]
    text = found.data.modality("de").values[0]
    ids = torch.tensor([ord(text[0]) % 90, 1 + len(text) % 90])
    with torch.no_grad():
        words = network.embeddings.word_embeddings(ids[ids > 0]).mean(dim=0)
    torch.testing.assert_close(found.z["de"][0], F.normalize(words, dim=0), rtol=1e-5, atol=1e-5)


def test_without_a_vocabulary_on_this_machine_the_sentence_says_how_to_get_one(monkeypatch, tmp_path):
    transformers(monkeypatch, here=False)
    with pytest.raises(Refusal, match="no vocabulary; expected that of 'bert-base-uncased' on this machine: fetch it"):
        extras.embed(kept(tmp_path, Bert(SIZES, add_pooling_layer=False)))


def test_a_library_that_is_missing_is_named_with_the_line_and_its_file_is_there(monkeypatch, tmp_path):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(
        Refusal, match=r"library timm is not installed; .* -m pip install -r core/checkpoints/requirements-vision.txt"
    ):
        extras.embed(kept(tmp_path, Vit(WIDTH)))
    for extra in extras.EXTRAS.values():
        lines = (ROOT / extra.line.split(" -r ")[1]).read_text().splitlines()
        assert lines[0] == "-c ../../requirements.txt"
        assert (ROOT / "core" / "checkpoints" / lines[0][3:]).resolve() == ROOT / "requirements.txt"
        assert all("==" in line for line in lines[1:])
    assert extras.needed(recognise(kept(tmp_path, nn.Linear(2, 2)))) is None
