"""Files that mean harm, each with a part of the sentence that has to refuse it."""

import json
import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

Maker = Callable[[Path], None]
TRACE = "trace-of-an-attack"
GIANT = 10**6


class RunsACommand:
    """Unpickled without a fence, it leaves a trace beside the file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch '{self.trace}'",)


def runs_a_command(legacy: bool) -> Maker:
    return lambda file: torch.save(
        {"weight": RunsACommand(file.with_name(TRACE))}, file, _use_new_zipfile_serialization=not legacy
    )


def repacked(file: Path, change: Mapping[str, Callable[[bytes], bytes]], how: int = zipfile.ZIP_STORED) -> None:
    """Write the archive of a torch file anew, with some members changed."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, change.get(name.rpartition("/")[2], lambda same: same)(content))


def zip_bomb(file: Path) -> None:
    torch.save({"weight": torch.zeros(8 * GIANT)}, file)
    repacked(file, {}, zipfile.ZIP_DEFLATED)


def nested_lists(file: Path, count: int = 200_000) -> None:
    torch.save({"weight": torch.zeros(3)}, file)
    deep = b"\x80\x02" + b"]" * (count + 1) + b"a" * count + b"."
    repacked(file, {"data.pkl": lambda _: deep})


def many_lists(file: Path) -> None:
    torch.save([[] for _ in range(250_000)], file)


def outside_itself(file: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, file)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("../../escaped", b"text")


def encrypted(file: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, file)
    content = bytearray(file.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 8] |= 1
    file.write_bytes(content)


def claims_more(file: Path) -> None:
    """The directory of the archive says that a member is larger than the file."""
    torch.save({"weight": torch.zeros(3)}, file)
    content = bytearray(file.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 20 : entry + 28] = struct.pack("<II", 2**31 - 1, 2**31 - 1)
    file.write_bytes(content)


def program(file: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, file)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(f"{file.stem}/constants.pkl", b"\x80\x02).")


def many_views(file: Path) -> None:
    numbers = torch.zeros(1_000)
    torch.save([numbers[place:] for place in range(999)], file)


def stride_of_0(file: Path) -> None:
    torch.save(torch.zeros(1).as_strided((GIANT, GIANT), (0, 0)), file)


def wide(file: Path) -> None:
    torch.save({"weight": torch.zeros([1] * 40)}, file)


def raw(content: bytes) -> Maker:
    return lambda file: file.write_bytes(content) and None


def header(said: object, data: bytes = b"", length: int | None = None) -> Maker:
    """A .safetensors whose header says `said`; `length` where it lies about that."""
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    return raw(struct.pack("<Q", len(text) if length is None else length) + text + data)


def entry(shape: object, offsets: object, dtype: object = "F32") -> dict[str, object]:
    return {"weight": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


HOSTILE: Mapping[str, tuple[str, Maker, str]] = {
    "a command in an archive": ("a.pt", runs_a_command(False), "'posix.system'"),
    "a command in a legacy pickle": ("a.pth", runs_a_command(True), "'posix.system'"),
    "a zip bomb": ("a.pt", zip_bomb, "is compressed"),
    "a stride of 0": ("a.pt", stride_of_0, "claims 1,000,000,000,000 numbers"),
    "many views of the same numbers": ("a.pt", many_views, "claim more than 2 times"),
    "200,000 nested lists": ("a.pt", nested_lists, "nests values more than 32 deep"),
    "a quarter of a million lists": ("a.pt", many_lists, "holds more than 200,000 values"),
    "40 dimensions": ("a.pt", wide, "40 dimensions"),
    "a member outside the archive": ("a.pt", outside_itself, "outside itself"),
    "an encrypted member": ("a.pt", encrypted, "is encrypted"),
    "an archive that claims more than it has": ("a.pt", claims_more, "a whole file"),
    "a program": ("a.pt", program, "TorchScript program"),
    "a whole module": ("a.pt", lambda f: torch.save(torch.nn.Linear(2, 2), f), "'torch.nn.modules.linear.Linear'"),
    "an archive of something else": ("a.pt", lambda f: zipfile.ZipFile(f, "w").writestr("a", b"b"), "holds no tensors"),
    "an archive without a directory": ("a.pt", raw(b"PK\x03\x04" + bytes(64)), "damaged archive"),
    "no tensors": ("a.pt", lambda f: torch.save({"epoch": 3}, f), "holds no tensors"),
    "an empty file": ("a.pt", raw(b""), "is no checkpoint"),
    "a picture": ("a.pt", raw(b"\x89PNG\r\n\x1a\n" + bytes(64)), "is no checkpoint"),
    "a header longer than the file": ("a.safetensors", header({}, length=2**40), "claims 1,099,511,627,776 bytes"),
    "a header that is no JSON": ("a.safetensors", header(b"{nothing at all}"), "is not JSON"),
    "a header nested without end": ("a.safetensors", header(b'{"a":' * 100_000), "is not JSON"),
    "a shape that lies": ("a.safetensors", header(entry([GIANT, GIANT], [0, 4]), bytes(4)), "claims the shape"),
    "a shape below nothing": ("a.safetensors", header(entry([-1, 4], [0, 4]), bytes(4)), "no shape and place"),
    "a shape of fractions": ("a.safetensors", header(entry([1.5], [0, 4]), bytes(4)), "no shape and place"),
    "a place outside the file": ("a.safetensors", header(entry([2], [0, 8]), bytes(4)), "lies outside"),
    "a place that runs backwards": ("a.safetensors", header(entry([1], [8, 4]), bytes(8)), "lies outside"),
    "a dtype that is none": ("a.safetensors", header(entry([1], [0, 4], "X99"), bytes(4)), "no dtype"),
    "100,000 dimensions": ("a.safetensors", header(entry([1] * 100_000, [0, 4]), bytes(4)), "100,000 dimensions"),
    "a name without end": ("a.safetensors", header({"n" * 9_999: entry([1], [0, 4])["weight"]}, bytes(4)), "9,999"),
    "holes between tensors": ("a.safetensors", header(entry([1], [4, 8]), bytes(8)), "no whole .safetensors"),
}  # fmt: skip
