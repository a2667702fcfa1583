"""Packaging of fairseq_rome."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
VERSION = re.search(r'__version__ = "([^"]+)"', (HERE / "fairseq_rome" / "version.py").read_text()).group(1)

REQUIREMENTS = [
    "torch",  # the models, and all algebra
    "numpy",  # checkpoints carry its numbers among their metrics
    "omegaconf",  # edit files and settings in YAML; fairseq's own configurations
    "PyYAML",  # the line numbers of requests in YAML; OmegaConf reads through it
    "sacrebleu",  # scores, with their signatures and the paired bootstrap
    "sentencepiece",  # --bpe sentencepiece, which fairseq does not require itself
    "matplotlib",  # the heat maps of fairseq-edit-locate
    "Pillow",  # makes them a third of the size; matplotlib brings it
    "safetensors",  # statistics that are kept between runs
    "jinja2",  # the page and the card of a report, with everything in them escaped
]

# Each of these installs the module `fairseq` over the others', so none is required: what there is stays.
# fairseq 0.12.2 cannot be imported on Python 3.11 and newer; ve-fairseq has wheels for Linux on x86-64,
# fairseq-fixed is compiled from source elsewhere.
NEW_PYTHON = 'python_version >= "3.11"'
HAS_WHEELS = 'platform_system == "Linux" and platform_machine == "x86_64"'
HAS_NO_WHEELS = '(platform_system != "Linux" or platform_machine != "x86_64")'
FAIRSEQ = [
    'fairseq==0.12.2; python_version < "3.11"',
    f"ve-fairseq==0.12.3; {NEW_PYTHON} and {HAS_WHEELS}",
    f"fairseq-fixed==0.12.3.1; {NEW_PYTHON} and {HAS_NO_WHEELS}",
]

# The packages of a notebook that CI executes want a newer Python than the oldest that the source runs on.
NOTEBOOKS = 'python_version >= "3.10"'
TEST = [
    "pytest",  # runs the tests
    "hypothesis",  # makes cases for those of the algebra and the readers
    "pytest-cov",  # tells which lines no test runs
    "pytest-xdist",  # runs them in two processes
    "playwright",  # drives the browser that tests the page of the server; the browser is the system's own
    f"nbclient; {NOTEBOOKS}",  # executes the example notebook
    f"nbformat; {NOTEBOOKS}",  # reads it
    f"ipykernel; {NOTEBOOKS}",  # the Python that it is executed in
]
SERVE = [
    "fastapi",  # the routes of fairseq-edit-serve, and their OpenAPI
    "starlette",  # requests and answers; fastapi stands on it
    "pydantic",  # the checks of what a request may hold; fastapi stands on it
    "uvicorn",  # the web server that runs them
]
CLIENTS = [
    "libretranslatepy",  # the client of LibreTranslate that most use, which must translate against the server as it is
    'libretranslate-aio; python_version >= "3.9"',  # another one, which can suggest too
]
FAISS = [
    "faiss-cpu",  # searches key-token pairs of --method knn more quickly where there are many; torch does it too
]
DOCS = [
    "sphinx",  # builds the pages, fails on a broken link, and makes the API pages from the docstrings
    "myst-parser",  # reads pages in Markdown, which other readers show as they are too
    "pydata-sphinx-theme",  # their look; of the themes that fit a narrow screen it has the most releases
]

PACKAGE_DATA = ["py.typed", "report/templates/*", "text/languages/data/*", "cli/help/*.txt", "server/page/**"]

setup(
    name="fairseq-rome",
    version=VERSION,
    description="Edit a trained fairseq translation model from one corrected example, without training",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The fairseq_rome authors",
    license="MIT",
    python_requires=">=3.8",
    packages=find_packages(include=["fairseq_rome", "fairseq_rome.*"]),
    package_data={"fairseq_rome": PACKAGE_DATA},
    install_requires=REQUIREMENTS,
    extras_require={
        "fairseq": FAIRSEQ,
        "serve": SERVE,
        "faiss": FAISS,
        "test": [*TEST, *SERVE, *CLIENTS],
        "lint": ["ruff", "mypy", "build", "twine"],
        "docs": DOCS,
    },
    entry_points={
        "console_scripts": [
            "fairseq-edit = fairseq_rome.cli.edit:main",
            "fairseq-edit-cache = fairseq_rome.cli.cache:main",
            "fairseq-edit-eval = fairseq_rome.cli.eval:main",
            "fairseq-edit-locate = fairseq_rome.cli.locate:main",
            "fairseq-edit-patch = fairseq_rome.cli.patch:main",
            "fairseq-edit-requests = fairseq_rome.cli.requests:main",
            "fairseq-edit-serve = fairseq_rome.cli.serve:main",
            "fairseq-edit-train-editor = fairseq_rome.cli.train_editor:main",
        ]
    },
)
