"""What a stranger's file may ask for, as data: the checks, the fence, the page and the tests read it here."""

from pydantic import BaseModel, ConfigDict, Field

SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar")
INDEX = ".index.json"
TABLES = (".npz", ".npy", ".csv", ".tsv", ".parquet")


class Limits(BaseModel):
    """Caps on a file and on the process that reads it; bytes and seconds where nothing else is said."""

    model_config = ConfigDict(frozen=True)

    file: int = Field(2_000_000_000, ge=1, description="Size of all parts of a checkpoint.")
    header: int = Field(25_000_000, ge=1, description="Size of a safetensors header or of an index.")
    pickle: int = Field(64_000_000, ge=1, description="Size of the pickle inside a torch archive.")
    members: int = Field(100_000, ge=1, description="Members of an archive, and tensors of a file.")
    parts: int = Field(200, ge=1, description="Files that an index may name.")
    dimensions: int = Field(16, ge=1, description="Dimensions of a tensor.")
    depth: int = Field(32, ge=1, description="Containers inside containers.")
    nodes: int = Field(200_000, ge=1, description="Values of all kinds inside a file.")
    name: int = Field(400, ge=1, description="Characters in a tensor's name.")
    copies: float = Field(2.0, ge=1, description="Bytes of all tensors, over bytes of the file.")
    notes: int = Field(500, ge=1, description="Plain values that are kept beside the tensors.")
    memory: int = Field(250_000_000, ge=1, description="Memory of the reading process beyond what it starts with...")
    memory_factor: float = Field(3.0, ge=0, description="... and beyond this many times the size of the file.")
    seconds: float = Field(60.0, gt=0, description="Time to read a file.")
    table: int = Field(500_000_000, ge=1, description="Size of a file of embeddings.")
    unpacked: int = Field(200_000_000, ge=1, description="Bytes of all numbers of such a file, as float32.")
    rows: int = Field(2_000_000, ge=1, description="Rows of a table.")
    columns: int = Field(20_000, ge=1, description="Columns of a table.")
    pieces: int = Field(200, ge=1, le=999, description="Columns that are kept or named, a whole vector being one.")
    cell: int = Field(1_000, ge=1, description="Characters that are kept of a cell.")
    letters: int = Field(30_000_000, ge=1, description="Characters of all columns of text.")
    pixels: int = Field(16_000_000, ge=1, description="Pixels of a picture.")
    decoding: float = Field(20.0, gt=0, description="Time to read all pictures of a column.")

    def room(self, size: int) -> int:
        """Bytes of memory that reading a file of `size` bytes may add."""
        return self.memory + int(self.memory_factor * size)


def wanted(suffix: str) -> tuple[str, str]:
    """What was expected of a file that asks for too much, and what to do."""
    if suffix in TABLES:
        return "rows of numbers", "save fewer rows or columns"
    return "weights", "save the state_dict alone"
