"""What is known of a program by its source alone: paths through functions and variables, input."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlcontainer.cli.program_needs import program_needs
from tests.cli.guessing import ALL, guesses


@pytest.mark.parametrize(
    ("code", "reads"),
    [
        ("def get(path):\n    return read_csv(path)\nget('a.csv')", ["a.csv"]),
        ("def get(path='a.csv'):\n    return read_csv(path)\nget()", ["a.csv"]),
        ("def get(n, *, path):\n    return read_csv(path)\nget(3, path='a.csv')", ["a.csv"]),
        ("class T:\n    def get(self, path):\n        read_csv(path)\nT().get('a.csv')",
         ["a.csv"]),
        ("class T:\n    def __init__(self, path='a.csv'):\n        self.path = path\n"
         "    def get(self):\n        read_csv(self.path)\nT().get()", ["a.csv"]),
        ("URL = 'a.csv'\ndef f(u):\n    return g(u)\ndef g(path):\n    read_csv(path)\nf(URL)",
         ["a.csv"]),
        ("def get(path):\n    read_csv(path)\ndef save(path):\n    x.to_csv(path)\n"
         "get('a.csv')\nsave('b.csv')", ["a.csv"]),
        ("def get(path):\n    return read_csv(path)\nget('a.csv')\nget('b.csv')",
         ["a.csv", "b.csv"]),
        ("from src.utils import load_yaml\ndef run(path):\n    load_yaml(path)\nrun('a.yaml')",
         ["a.yaml"]),
        # Who is not called, or is called with what is not known, reads nothing that is known.
        ("def get(path='a.csv'):\n    return read_csv(path)", []),
        ("def get(path):\n    return read_csv(path)\nfor each in names:\n    get(each)", []),
        ("def get(path):\n    path = path or 'b'\n    return read_csv(path)\nget('a.csv')", []),
    ],
)  # fmt: skip
def test_a_path_is_followed_into_the_function_that_gets_it(code: str, reads: list[str]) -> None:
    assert program_needs(code).reads == reads


@pytest.mark.parametrize(
    ("code", "reads"),
    [
        ("read_csv(os.getenv('DATA', 'a.csv'))", ["a.csv"]),
        ("read_csv(os.environ.get('DATA', 'a.csv'))", ["a.csv"]),
        ("read_csv(os.path.join(os.environ['IN'], 'b.csv'))", ["/in/b.csv"]),
        ("read_csv(os.path.join(os.getenv('IN'), 'b.csv'))", ["/in/b.csv"]),
        ("IN = os.getenv('IN', 'here')\nread_csv(Path(IN) / 'b.csv')", ["/in/b.csv"]),
        ("read_csv(os.getenv('DATA'))", []),
    ],
)
def test_a_path_is_what_the_images_variables_say(code: str, reads: list[str]) -> None:
    assert program_needs(code, environ={"IN": "/in"}).reads == reads


def test_a_path_that_env_gives_is_an_output_and_where_the_image_has_it(tmp_path: Path) -> None:
    code = "m = os.path.join(os.environ['MODELS'], os.environ['NAME'])\njoblib.dump(fit(), m)\n"
    dockerfile = f'{ALL}ENV MODELS=/app/trained NAME="m.joblib"\n'
    (train,) = guesses(tmp_path, dockerfile, {"train.py": code}).entrypoints
    assert train.outputs == ("trained/m.joblib",)


@pytest.mark.parametrize("code", ["boto3.client('s3')", "yf.download('BTC')", "wandb.init()"])
def test_a_service_of_others_is_asked_over_a_network(tmp_path: Path, code: str) -> None:
    (train,) = guesses(tmp_path, ALL, {"train.py": f"{code}\nfit()\n"}).entrypoints
    assert "over a network" in train.lacks


@pytest.mark.parametrize(
    ("code", "lacks"),
    [
        ("age = int(input('Age: '))\nprint(age)", "it asks whoever runs it for input, and a run"),
        ("def f(x):\n    y\n      z\nf(1)", "line 4 is no Python: unexpected indent"),
        ("if args.ask:\n    input()\nfit()", ""),
        ("input = layer()\nfit(input)", ""),
        ("print 'an older Python'", ""),
    ],
)
def test_what_cannot_run_alone_is_left_out(tmp_path: Path, code: str, lacks: str) -> None:
    text = f"p.add_argument('--ask', action='store_true')\n{code}\n"
    (train,) = guesses(tmp_path, ALL, {"train.py": text}).entrypoints
    assert (lacks in train.lacks) if lacks else train.lacks == ""


@pytest.mark.parametrize(
    ("code", "outputs"),
    [
        ("print(score())", ("stdout",)),
        ("print(score())\ndump(m, open('m.pkl', 'wb'))", ("m.pkl",)),
        ("print(score())\ndump(m, out(1))", ()),
        ("save(x, 0.5)", ()),
        ("from local import fit\nprint(fit())", ("stdout",)),
        ("from hidden import fit\nprint(fit())", ()),
        ("from above import fit\nprint(fit())", ()),
        ("from listed import fit\nprint(fit())", ()),
        ("fit()", ()),
    ],
)
def test_what_a_program_prints_is_its_output_where_it_writes_nothing_else(
    tmp_path: Path, code: str, outputs: tuple[str, ...]
) -> None:
    files = {
        "train.py": f"import numpy\n{code}\n",
        "local.py": "import os\ndef fit(): ...\n",
        "hidden.py": "def fit(): dump(m, where)\n",
        "above.py": "from hidden import fit\n",
        "listed.py": "FOLDER = Path('outputs')\ndef fit(): ...\n",
    }
    (train,) = guesses(tmp_path, ALL, files).entrypoints
    assert train.outputs == outputs


def test_a_module_of_a_folder_is_started_as_one_where_it_imports_from_there(tmp_path: Path) -> None:
    """`python src/train.py` puts `src` on the path, not the folder that `src` is in."""
    for code in ("from src.data import load\nload()\n", "from .data import load\nload()\n"):
        (train,) = guesses(tmp_path, ALL, {"src/train.py": code, "src/data.py": ""}).entrypoints
        assert train.command == ("python", "-m", "src.train")
    code = "sys.path.append('.')\nfrom src.data import load\nload()\n"
    (train,) = guesses(tmp_path, ALL, {"src/train.py": code}).entrypoints
    assert train.command == ("python", "src/train.py")
    elsewhere = "FROM python:3.13-slim\nWORKDIR /srv\nCOPY . /app/\n"
    code = "from src.data import load\nload()\n"
    (train,) = guesses(tmp_path, elsewhere, {"src/train.py": code}).entrypoints
    assert train.command == ("python", "/app/src/train.py")


def test_what_waits_at_no_port_is_no_server(tmp_path: Path) -> None:
    code = "# the model that is served later\nfit()\n"
    dockerfile = f'{ALL}CMD ["python", "app/fraud.py"]\n'
    (run,) = guesses(tmp_path, dockerfile, {"app/fraud.py": code}).entrypoints
    assert (run.name, run.port) == ("run", None)


@pytest.mark.parametrize(
    "start", ['CMD ["./run.sh"]', "CMD bash run.sh", 'ENTRYPOINT ["/app/run.sh"]']
)
def test_a_shell_script_that_the_image_starts_is_read(tmp_path: Path, start: str) -> None:
    script = '#!/bin/sh\nset -e\npython prepare.py\nexec gunicorn -b 0.0.0.0:8000 app:app "$@"\n'
    files = {
        "run.sh": script,
        "prepare.py": "joblib.dump(fit(), os.path.join('data', 'm.pkl'))\n",
        "app.py": "m = joblib.load('data/m.pkl')\napp = Flask(__name__)\n",
    }
    (serve,) = guesses(tmp_path, f"{ALL}{start}\n", files).entrypoints
    assert (serve.name, serve.command, serve.port, serve.lacks) == ("serve", None, 8000, "")


def test_what_a_shell_script_starts_says_what_is_written_and_what_is_missing(
    tmp_path: Path,
) -> None:
    files = {"run.sh": "python a.py\npython -m pkg.b --fast\n", "a.py": "x.to_csv('a.csv')\n",
             "pkg/b.py": "y = read_csv('a.csv')\ny.to_csv('b.csv')\n"}  # fmt: skip
    (run,) = guesses(tmp_path, f'{ALL}CMD ["bash", "run.sh"]\n', files).entrypoints
    assert (run.command, run.outputs, run.lacks) == (None, ("a.csv", "b.csv"), "")
    files["a.py"] = "read_csv('https://example.org/a.csv').to_csv('a.csv')\n"
    (run,) = guesses(tmp_path, f'{ALL}CMD ["bash", "run.sh"]\n', files).entrypoints
    assert "over a network" in run.lacks


@pytest.mark.parametrize("last", ['exec "$@"', '"$@"', "if [ -n x ]; then python a.py; fi"])
def test_a_shell_script_whose_way_is_not_known_says_nothing(tmp_path: Path, last: str) -> None:
    files = {"run.sh": f"#!/bin/sh\nsetup\n{last}\n", "train.py": "fit()\n", "a.py": "fit()\n"}
    dockerfile = f'{ALL}ENTRYPOINT ["./run.sh"]\nCMD ["python", "train.py"]\n'
    (train,) = guesses(tmp_path, dockerfile, files).entrypoints
    assert (train.name, train.command) == ("train", None)


@pytest.mark.parametrize(
    ("option", "use", "lacks"),
    [
        ("'-c', '--config'", "open(args.config)", "it cannot be started without --config"),
        ("'--data'", "pd.read_csv(args.data)", "it cannot be started without --data"),
        ("'--data-dir', dest='d'", "load(args.d)", "it cannot be started without --data-dir"),
        ("'--config', default='a.yml'", "open(args.config)", "it reads a.yml"),
        ("'--config', nargs='?', const='a'", "open(args.config)", ""),
        ("'--config'", "open(args.config) if args.config else None", ""),
        ("'--config'", "if args.config:\n    open(args.config)", ""),
        ("'--config'", "if args.config is not None:\n    open(args.config)", ""),
        ("'--config'", "args.config = args.config or 'b'\nopen(args.config)", ""),
        ("'--config'", "open(args.config or 'train.py')", ""),
    ],
)
def test_an_option_that_is_read_from_and_not_given_is_named(
    tmp_path: Path, option: str, use: str, lacks: str
) -> None:
    code = f"parser.add_argument({option})\nargs = parser.parse_args()\n{use}\nprint(1)\n"
    (train,) = guesses(
        tmp_path, f'{ALL}CMD ["python", "train.py"]\n', {"train.py": code}
    ).entrypoints
    assert train.lacks.startswith(lacks) if lacks else train.lacks == ""


def test_arguments_may_be_a_mapping(tmp_path: Path) -> None:
    code = (
        "parser.add_argument('--input', default='in.json')\n"
        "given = vars(parser.parse_args())\nopen(given['input'])\nprint(1)\n"
    )
    (train,) = guesses(tmp_path, ALL, {"train.py": code}).entrypoints
    assert "it reads in.json" in train.lacks


def test_a_module_that_flask_is_told_to_load_is_read(tmp_path: Path) -> None:
    files = {"site.py": "app = Flask(__name__)\nmodel = load('/models/m.pkl')\n"}
    run = 'CMD ["flask", "run", "--host=0.0.0.0"]\n'
    for told in (f"ENV FLASK_APP=site\n{run}", run.replace('"run"', '"--app", "site.py", "run"')):
        (serve,) = guesses(tmp_path, f"{ALL}{told}", files).entrypoints
        assert "it reads /models/m.pkl" in serve.lacks


def test_what_a_module_writes_under_a_usual_name_is_an_output(tmp_path: Path) -> None:
    """By the default of an argument that its importer does not give, or by what it gives."""
    saves = "def fit(x, path='m.joblib'):\n    joblib.dump(x, path)\ndef other(x):\n" \
            "    x.to_csv('never.csv')\n"  # fmt: skip
    for call, outputs in (("fit(1)", ("m.joblib",)), ("fit(1, 'n.joblib')", ("n.joblib",))):
        code = f"from model import fit\n{call}\nprint('saved')\n"
        files = {"train.py": code, "model.py": saves, "app.py": ""}
        (train,) = guesses(tmp_path, ALL, files).entrypoints
        assert (train.outputs, train.lacks) == (outputs, "")
    files = {"train.py": "from src.run import main\nmain()\n", "src/run.py":
             "from src.keep import keep\ndef main():\n    keep('kept.csv')\n",
             "src/keep.py": "def keep(path):\n    frame().to_csv(path)\n"}  # fmt: skip
    (train,) = guesses(tmp_path, ALL, files).entrypoints
    assert train.outputs == ("kept.csv",)


@pytest.mark.parametrize(
    ("code", "lacks"),
    [
        ("settings = dotenv_values('.env')\ntokens = {settings['TOKEN']: 1}",
         "it reads TOKEN from a file .env, which the image does not have"),
        ("settings = {**dotenv_values(), **os.environ}\nx = settings['TOKEN']",
         "it reads TOKEN from a file .env, which the image does not have"),
        ("settings = dotenv_values('.env')\nx = settings.get('TOKEN')", ""),
        ("settings = dotenv_values('.env')\ntry:\n    x = settings['TOKEN']\nexcept KeyError:\n"
         "    x = ''", ""),
        ("load_dotenv()\nx = os.environ['TOKEN']",
         "it asks for the variable TOKEN, which the image does not set"),
    ],
)  # fmt: skip
def test_what_stands_in_a_file_of_variables_has_to_be_in_the_image(
    tmp_path: Path, code: str, lacks: str
) -> None:
    files = {"app.py": f"{code}\napp = Flask(__name__)\napp.run(host='0.0.0.0')\n"}
    dockerfile = f'{ALL}CMD ["python", "app.py"]\n'
    (serve,) = guesses(tmp_path, dockerfile, files).entrypoints
    assert serve.lacks == lacks
    (tmp_path / ".env").write_text("# secret\nexport TOKEN=abc\n")
    (serve,) = guesses(tmp_path, dockerfile, files).entrypoints
    assert serve.lacks == ""


def test_a_program_that_the_python_here_does_not_understand_is_said(tmp_path: Path) -> None:
    """Nothing is known then of what it needs, which is not the same as that it needs nothing."""
    for code, said in (("print 'trained'\n", "line 1: "), ("print('trained')\n", "")):
        for start in ("", 'CMD ["python", "train.py"]\n'):
            found = guesses(tmp_path, f"{ALL}{start}", {"train.py": code})
            assert len(found.notes) == bool(said)
            for note in found.notes:
                assert note.startswith("train.py is not understood by Python 3.")
                assert said in note
