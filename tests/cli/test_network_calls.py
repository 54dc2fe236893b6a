"""What `mlcontainer init` knows to be got over a network, which a run does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlcontainer.cli.guessed_entrypoint import Guess
from pytest_mlcontainer.cli.guesses import guess_entrypoints
from pytest_mlcontainer.dockerfile import parse_dockerfile

BASE = "FROM python:3.13-slim\nWORKDIR /app\n"
STARTED = f'{BASE}COPY . .\nCMD ["python", "train.py"]\n'


def trained(root: Path, code: str, dockerfile: str = STARTED) -> Guess:
    (root / "train.py").write_text(code)
    (guess,) = guess_entrypoints(root, {}, parse_dockerfile(dockerfile)).entrypoints
    return guess


@pytest.mark.parametrize(
    ("code", "brought"),
    [
        ("os.system('curl -sL https://example.org/x | bash')", "https://example.org/x"),
        ("subprocess.run(['wget', '-q', 'https://example.org/x.csv'])", "https://example.org/x.csv"),
        ("os.system('kaggle datasets download titanic')", "what `kaggle datasets` brings"),
        ("subprocess.run('dvc pull --force', shell=True)", "what `dvc pull` brings"),
        ("a, b = mnist.load_data()", "mnist.load_data"),
        ("a, b = keras.datasets.cifar10.load_data()", "keras.datasets.cifar10.load_data"),
        ("m = models.resnet18(pretrained=True)", "models.resnet18"),
        ("m = models.resnet18(weights=models.ResNet18_Weights.DEFAULT)", "models.resnet18"),
        ("m = ResNet50(weights='imagenet', include_top=False)", "ResNet50"),
        ("m = hub.KerasLayer('https://tfhub.dev/x')", "https://tfhub.dev/x"),
        ("d = tfds.load('iris')", "tfds.load"),
        ("d = openml.datasets.get_dataset(42072)", "openml.datasets.get_dataset"),
        ("d = yf.Ticker('AAPL').history()", "yf.Ticker"),
        ("d = pdr.get_data_yahoo('AAPL')", "pdr.get_data_yahoo"),
        ("d = sm.datasets.get_rdataset('Guerry')", "sm.datasets.get_rdataset"),
        ("m = AutoModel.from_pretrained(cfg.model.name)", "a pretrained model"),
        ("log = WandbLogger(project='x')", "WandbLogger"),
    ],
)  # fmt: skip
def test_what_a_program_gets_over_a_network_is_why_it_is_left_out(
    tmp_path: Path, code: str, brought: str
) -> None:
    assert trained(tmp_path, f"{code}\nprint(1)\n").lacks.startswith(f"it gets {brought} over a ")


@pytest.mark.parametrize(
    ("code", "brought"),
    [
        ("r = requests.get(f'https://api.example/{city}')", "https://api.example/…"),
        ("B = 'https://api.example'\nr = httpx.get(f'{B}/{city}')", "https://api.example…"),
        ("U = 'https://api.example/{}'\nr = requests.get(U.format(3))", "https://api.example/…"),
        ("u = 'https://api.example/' + city\nr = session.get(u)", "https://api.example/…"),
        ("d = read_csv('https://api.example/%s.csv' % city)", "https://api.example/…"),
        ("class A:\n    B = 'https://api.example/{}'\n    def get(self, y):\n"
         "        return requests.get(self.B.format(y))\nA().get(3)", "https://api.example/…"),
        ("s = requests.Session()\ns.post('https://api.example')", "https://api.example"),
    ],
)  # fmt: skip
def test_an_address_of_which_only_the_start_is_known_is_one(
    tmp_path: Path, code: str, brought: str
) -> None:
    assert trained(tmp_path, f"{code}\nprint(1)\n").lacks.startswith(f"it gets {brought} over a ")


@pytest.mark.parametrize(
    "code",
    [
        "r = requests.get(url)",
        "print(f'see https://api.example/{city}')",
        "r = settings.get('address')",
        "try:\n    r = requests.get(f'https://api.example/{city}')\nexcept OSError:\n    r = None",
        "os.system('curl http://localhost:8000/ready')",
        "subprocess.run(['git', 'rev-parse', 'HEAD'])",
        "os.system('echo curling')",
        "m = ResNet50(weights=None)",
        "m = models.resnet18(pretrained=False)",
        "r = LogisticRegression(weights='balanced')",
        "m = AutoModel.from_pretrained('./saved')",
        "log = WandbLogger(project='x', offline=True)",
        "wandb.init(mode='disabled')",
        "os.environ['WANDB_MODE'] = 'offline'\nwandb.init()",
        "os.environ.setdefault('WANDB_MODE', 'offline')\nwandb.init()",
        "try:\n    os.system('curl https://example.org')\nexcept OSError:\n    pass",
    ],
)
def test_what_stays_on_the_machine_is_no_hindrance(tmp_path: Path, code: str) -> None:
    assert trained(tmp_path, f"{code}\nprint(1)\n").lacks == ""


def test_an_image_that_switches_a_service_off_needs_no_network_for_it(tmp_path: Path) -> None:
    code = "import wandb\nwandb.init()\nprint(1)\n"
    assert "wandb.init" in trained(tmp_path, code).lacks
    for switched in ("WANDB_MODE=disabled", "WANDB_DISABLED=true"):
        assert trained(tmp_path, code, f"{STARTED}ENV {switched}\n").lacks == ""


def test_a_model_that_the_image_has_is_loaded_from_there(tmp_path: Path) -> None:
    """Its name stands in a file of settings, and may be that of a folder."""
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder/model.safetensors").write_bytes(b"")
    code = "m = AutoModel.from_pretrained(settings['encoder'])\nprint(m)\n"
    assert trained(tmp_path, code).lacks == ""
