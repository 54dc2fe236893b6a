"""What a call of a Python program gets over a network, by its code, which is never run."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Final

from pytest_mlcontainer.cli.program_names import ProgramNames

URL: Final = re.compile(r"(?:https?|s3|gs|ftp|hf)://\S+")
_FETCHES: Final = re.compile(
    r"fetch_(?:openml|california_housing|20newsgroups|covtype|olivetti_faces|lfw_\w+|kddcup99|rcv1)"
    r"|fetch_ucirepo|snapshot_download|hf_hub_download"
)
_ASKS_URL: Final = re.compile(
    r"(?:requests|httpx)\.\w+|.*\b(?:urlretrieve|urlopen|set_tracking_uri|KerasLayer)"
    r"|\w+\.(?:get|post|request)"
)
_FETCHERS: Final = re.compile(
    r"nltk\.download|gdown\.download|wget\.download|kagglehub\.dataset_download"
    r"|gensim\.downloader\.load|tfds\.load|torch\.hub\.load|openml\.datasets\.get_datasets?"
    r"|yf\.Ticker|yfinance\.Ticker|(?:pdr|web)\.(?:get_data_\w+|DataReader)"
    r"|(?:.*\.)?get_rdataset"
    r"|(?:.*\.)?(?:mnist|fashion_mnist|cifar100?|imdb|reuters|boston_housing)\.load_data"
)
_OF_WANDB: Final = ("wandb.init", "wandb.login", "WandbLogger")
SERVICES: Final = (  # which no build can have got beforehand
    "boto3.client",
    "boto3.resource",
    "boto3.Session",
    "psycopg2.connect",
    "yf.download",
    "yfinance.download",
    *_OF_WANDB,
)
_STAYS_HERE: Final = ("offline", "disabled", "dryrun")
_HUB: Final = ("from_pretrained", "pipeline", "load_dataset", "SentenceTransformer")
_ONLY_OF_HUB: Final = ("from_pretrained", "SentenceTransformer")
PRETRAINED: Final = "a pretrained model"  # of which the name is not known
_WEIGHTS: Final = re.compile(r"'imagenet'|'DEFAULT'|'IMAGENET1K_\w+'|(?:\w+\.)*\w*Weights\w*\.\w+")
STARTS: Final = re.compile(r"os\.(?:system|popen)|(?:subprocess\.)?(?:run|call|check_call"
                           r"|check_output|getoutput|Popen)")  # fmt: skip
_TOOLS: Final = re.compile(
    r"(?:^|[\s;&|(])(curl|wget|gdown|gsutil|git clone|dvc pull|kaggle \w+|aws s3)\s"
)
_ADDRESS: Final = re.compile(r"(?:https?|ftp|s3|gs)://(?!localhost\b|127\.0\.0\.1\b)[^\s'\"|;]+")


def fetched_by(call: ast.Call, names: ProgramNames, given: Sequence[str]) -> str:
    """What a call gets; "" where nothing says that it gets something.

    Args:
        given: the texts of its first arguments and of those with a name.
    """
    whole = ast.unparse(call.func)
    last = whole.rpartition(".")[2]
    addresses = [url for each in (*call.args[:2], *(k.value for k in call.keywords))
                 if (url := names.address(each))]  # fmt: skip
    if whole in _OF_WANDB or last in _OF_WANDB:
        return "" if _keeps_to_itself(call, names) else whole
    if whole in SERVICES or _FETCHERS.fullmatch(whole) or _FETCHES.fullmatch(last):
        return (addresses or [whole])[0]
    if _ASKS_URL.fullmatch(whole) and addresses:
        return addresses[0]
    if last in _HUB:
        return _of_hub(call, names, given, last)
    if STARTS.fullmatch(whole):
        return _by_a_tool(call)
    return whole if _asks_for_weights(call, names) else ""


def _keeps_to_itself(call: ast.Call, names: ProgramNames) -> bool:
    """Whether Weights & Biases is told to stay on this machine, or to do nothing."""
    mode, disabled = names.variable("WANDB_MODE"), names.variable("WANDB_DISABLED")
    if mode in _STAYS_HERE or disabled.lower() in ("true", "1"):
        return True
    told = {each.arg: names.text(each.value) for each in call.keywords}
    return told.get("mode") in _STAYS_HERE or told.get("offline") == "True"


def _of_hub(call: ast.Call, names: ProgramNames, given: Sequence[str], last: str) -> str:
    """What a library of models gets from its hub: a name there, or one that is not known."""
    if given and re.match(r"\w", given[0]):
        return "" if re.search(r"\.\w*[A-Za-z]\w*$", given[0]) else given[0]
    first = call.args[0] if call.args else None
    unknown = first is not None and last in _ONLY_OF_HUB and not any(names.texts(first))
    return PRETRAINED if unknown else ""


def _by_a_tool(call: ast.Call) -> str:
    """What the command line of another program gets, that a call starts."""
    texts = (each.value for each in ast.walk(call) if isinstance(each, ast.Constant))
    line = " ".join(map(str, texts)) + " "
    tool = _TOOLS.search(line)
    if tool is None:
        return ""
    address = _ADDRESS.search(line)
    if address is not None:
        return address[0]
    return "" if "://" in line else f"what `{tool[1]}` brings"


def _asks_for_weights(call: ast.Call, names: ProgramNames) -> bool:
    """Whether a model is asked for with the weights that its authors have trained."""
    for each in call.keywords:
        if each.arg in ("download", "pretrained") and names.text(each.value) == "True":
            return True
        if each.arg == "weights" and _WEIGHTS.fullmatch(ast.unparse(each.value)):
            return True
    return False
