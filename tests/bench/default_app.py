"""The app with nothing kept from Python's collector, as Streamlit runs one by default."""

import gc
import runpy
from pathlib import Path

gc.freeze = lambda: None
runpy.run_path(str(Path(__file__).resolve().parents[2] / "dashboard" / "app.py"), run_name="__main__")
