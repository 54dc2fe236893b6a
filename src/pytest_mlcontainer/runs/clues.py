"""What programs, packages and shells say when their image or their settings lack something.

Data: a pattern over one line of what was printed, what it means, and what helps. Each is bound to
words that only the failure itself prints (an exception's name, `[Errno …]`, a tool's own prefix),
so that a log about the same thing is not taken for it. `tests/data/failed_runs.jsonl` holds them
to what programs really print.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Clue:
    """One thing that is known.

    Args:
        pattern: searched in a line; its groups are filled into `cause` and `remedy`, as is `table`.
        near: has to be found in another of the telling lines as well.
    """

    pattern: re.Pattern[str]
    cause: str
    remedy: str
    near: re.Pattern[str] | None = None


def _clue(pattern: str, cause: str, remedy: str, near: str | None = None) -> Clue:
    return Clue(re.compile(pattern), cause, remedy, None if near is None else re.compile(near))


_SECRET: Final = (
    'give it the token: secrets = [{{ id = "…", env = "…" }}] in {table}; or fetch it once and '
    "declare it as inputs"
)
_VERSIONS: Final = (
    "install the version that wrote the file (pin it in the image's requirements), or write the "
    "file anew with this one"
)
_PINS: Final = "install versions that fit each other: pin them, by a lock file, in the image"
_DAMAGED: Final = (
    "look at its size: fetch it again where it is cut off; a few lines of text that begin with "
    "`version https://git-lfs` are a pointer, and `git lfs pull` brings the file"
)
_VARIABLE: Final = (
    'set it: env = {{ {name} = "…" }} in {table}, or secrets where it must not be seen; variables '
    "of this machine do not reach the run"
)
_CRLF: Final = (
    "its lines end as on Windows: `*.sh text eol=lf` in .gitattributes, or `sed -i 's/\\r$//'` in "
    "the Dockerfile"
)
_SCREEN: Final = (
    'draw without one: env = {{ MPLBACKEND = "Agg", QT_QPA_PLATFORM = "offscreen" }} in {table}; '
    "or install opencv-python-headless in place of opencv-python"
)
_CA: Final = (
    "where a proxy signs with a CA of its own, put that into the image (ca-certificates and "
    "update-ca-certificates) and name the bundle in SSL_CERT_FILE and REQUESTS_CA_BUNDLE"
)
_ONCE: Final = "fetch it once, outside the tests, and declare it as inputs in {table}; or wait"
_HOME: Final = (
    "it runs as a user without a name, or without a home of its own: "
    'env = {{ HOME = "/tmp", USER = "app" }} in {table}, or `RUN useradd` in the Dockerfile'
)

_HIDDEN: Final = r"(/[^/']+)*/\.(cache|config|local|conda|npm|keras|torch)"

CLUES: Final[tuple[Clue, ...]] = (
    # Connections
    _clue(
        r"CERTIFICATE_VERIFY_FAILED|SSL certificate problem|certificate verification failed"
        r"|suitable TLS CA certificate bundle|SSLCertVerificationError",
        "it does not trust a server's certificate",
        _CA,
    ),
    _clue(
        r"^curl: \(22\).* 429|429 Client Error|HTTP Error 429|\b429 Too Many Requests"
        r"|Too many users have viewed or downloaded|toomanyrequests:",
        "a server refuses so many requests",
        _ONCE,
    ),
    _clue(
        r"GatedRepoError|\b40[13] Client Error|HTTP Error 40[13]|NoCredentialsError"
        r"|DefaultCredentialsError|Unable to locate credentials|api_key (not configured|client "
        r"option must be set)|ClientError: An error occurred \((40[13]|AccessDenied|InvalidAccess"
        r"KeyId)\)|could not read Username for|authentication required|Cannot access gated repo",
        "a server asks who it is",
        _SECRET,
    ),
    _clue(
        r"(?i)\b(localhost|127\.0\.0\.1)\b.*connection refused|ECONNREFUSED (127|::1)"
        r"|connection refused.*\b(localhost|127\.0\.0\.1)\b",
        "nothing listens there inside its container",
        "start that service in the command, or leave it out of the run; one that runs elsewhere "
        "has an address that is not localhost, and needs its network named: "
        'network = "…" in {table}',
    ),
    _clue(
        r"outgoing traffic has been disabled|OfflineModeIsEnabled|[Oo]ffline mode is enabled",
        "it is told to stay offline, and what it asks for is not in its cache",
        "bring that into the image (download it in the Dockerfile, into the cache that the run "
        "has: HOME, HF_HOME), or declare it as inputs in {table}",
    ),
    _clue(
        r"Unable to find address for: \S",
        "its own host name has no address, as is so without a network",
        'let its processes talk through the loopback: env = {{ GLOO_SOCKET_IFNAME = "lo" }}, or '
        'network = "bridge", in {table}',
    ),
    # Ports
    _clue(
        r"\[Errno 98\]|\(98: Address already in use\)|^\S*(Error|bind\S*): .*Address already in "
        r"use|Connection in use: \(|EADDRINUSE",
        "a port is taken already",
        "two of its own programs want the same port, or one is started twice: nothing else runs "
        "in its container",
    ),
    _clue(
        r"bind\(\) to \S*:\d{1,3} failed \(13|bind\S* .*:\d{1,3}\b.*[Pp]ermission denied",
        "a port below 1024 is not its to open",
        "let it listen on a port above 1023; or, where the engine keeps those for root: "
        'capabilities = ["NET_BIND_SERVICE"] in {table}',
    ),
    # Variables
    _clue(
        r"^KeyError: '(?P<name>\w+)'",
        "the variable {name} is not set",
        _VARIABLE,
        near=r"os\.environ\b|<frozen os>|/os\.py\", line \d+, in __getitem__",
    ),
    _clue(
        r"UndefinedValueError: (?P<name>\w+) not found", "the variable {name} is not set", _VARIABLE
    ),
    _clue(
        r": (?P<name>\w+): (unbound variable|parameter (null or )?not set)",
        "the variable {name} is not set",
        _VARIABLE,
    ),
    _clue(
        r"validation errors? for (?P<name>\w*(Settings|Config)\w*)$",
        "variables that {name} asks for are not set",
        'set them: env = {{ NAME = "…" }} in {table}, or secrets where they must not be seen',
    ),
    _clue(
        r"CUDA_HOME (environment variable is not set|does not exist)|nvcc: (command )?not found"
        r"|No such file or directory: '(\S*/)?nvcc'",
        "it compiles for the GPU, and the image has no CUDA compiler",
        "begin the image's last stage with a base that has one (nvidia/cuda:…-devel-…), or install "
        "a wheel that is compiled already",
    ),
    _clue(
        r"^\S*(Error|Exception): .*(?P<name>\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b).*(?i:environment "
        r"variable|env var)|^\S*(Error|Exception): .*(?i:environment variable)s? [`'\"]?(?P<other>"
        r"[A-Z][A-Z0-9_]+)[`'\"]? (is|was|must|not)",
        "a variable is not set",
        'set it: env = {{ NAME = "…" }} in {table}, or secrets where it must not be seen',
    ),
    # Users, homes, caches
    _clue(
        r"getpwuid\(\): uid not found|No username set in the environment"
        r"|getpwuid: no such user|cannot find name for user ID",
        "its user has no name",
        _HOME,
    ),
    _clue(
        r"No user exists for uid \d|look up current user in the passwd file",
        "its user has no name",
        "ssh and git look it up in /etc/passwd, where no variable helps: `RUN useradd --uid …` for "
        "the number that it runs as, in the Dockerfile",
    ),
    _clue(
        r"(PermissionError|OSError|Permission denied).*'/(\.cache|\.config|\.local|root|home/\w+"
        r"|nonexistent)\b",
        "its home cannot be written to",
        _HOME,
    ),
    _clue(
        rf"'(?P<name>{_HIDDEN})[/'].*Permission denied"
        rf"|Permission denied.*'(?P<other>{_HIDDEN})[/']",
        "its user may not write to {name}",
        'let it have another place: env = {{ HOME = "/tmp" }} in {table}, and XDG_CACHE_HOME, '
        "HF_HOME or UV_CACHE_DIR where the image sets them; or chown {name} in the Dockerfile",
    ),
    _clue(
        r"cannot cache function .*no locator available",
        "Numba finds no place for its cache",
        'name one: env = {{ NUMBA_CACHE_DIR = "/tmp/numba" }} in {table}',
    ),
    _clue(
        r"Matplotlib requires access to a writable cache directory",
        "Matplotlib finds no place for its cache",
        'name one: env = {{ MPLCONFIGDIR = "/tmp/matplotlib" }} in {table}',
    ),
    # Scripts and programs
    _clue(
        r"\\r'?: (\[Errno 2\] )?No such file|\$'\S*\\r'(: command not found|'$)"
        r"|\r'?: (No such file|not found|command)|: set: (Illegal option )?-(\r|$)"
        r"|python3?\?: No such file",
        "a script has the line ends of Windows",
        _CRLF,
    ),
    _clue(
        r": (?P<name>/\S+): bad interpreter|^(/usr/bin/)?env: can't execute '(?P<other>\S+)'",
        "a script's interpreter is not in the image",
        "name one that is there in its first line (`#!/bin/sh`, `#!/usr/bin/env python3`), or "
        "install it; a venv that was copied from elsewhere has links that lead nowhere: make it "
        "in the image",
    ),
    _clue(
        r"^exec (?P<name>/\S+): no such file or directory|(sh|bash): (line )?\d+: (?P<other>\.{0,2}"
        r"/\S+): not found$",
        "a script, or its interpreter, is not there",
        "look whether it is in the image (.dockerignore leaves files out), whether the interpreter "
        "of its first line is, and that its lines do not end as on Windows",
    ),
    _clue(
        r"(sh|bash): (line )?(\d+: )?\S*/\S+: Permission denied$"
        r"|exec \S+ failed: Permission denied",
        "a script may not be executed",
        "give it the executable bit in the Dockerfile: `RUN chmod +x …` or `COPY --chmod=755 …`",
    ),
    _clue(
        r"(sh|bash): (line )?\d+: \[.*: (command )?not found$",
        "its CMD or ENTRYPOINT is no JSON, so a shell got it as it is",
        'write it with double quotes, commas and plain spaces: CMD ["python", "train.py"]',
    ),
    _clue(
        r"(sh|bash)(: (line )?\d+)?: (?P<name>[\w.+-]+): (command )?not found$"
        r"|^(/usr/bin/)?env: '(?P<other>[\w.+-]+)': No such file or directory"
        r"|FileNotFoundError: .*No such file or directory: '(?P<third>ffmpeg|ffprobe|git|java|gcc"
        r"|g\+\+|make|cmake|node|tesseract|nvcc|dot|pdflatex|conda|wget|curl|unzip|bash)'",
        "a program that it starts is not in the image",
        "install it in the Dockerfile (in its last stage), or correct its name or PATH",
    ),
    _clue(
        r"Java gateway process exited before|^JAVA_HOME is not set|Unable to locate a Java Runtime",
        "Java did not start",
        "where it is not there, install it in the Dockerfile (in its last stage): "
        "`default-jre-headless`; else its own words are above",
    ),
    _clue(
        r"Failed to find C compiler|No working C\+\+ compiler found|command '\S*(gcc|g\+\+|cc)' "
        r"failed: No such file",
        "it compiles while it runs, and the image has no compiler",
        "install it in the Dockerfile (in its last stage): `gcc g++`; or let it run without "
        "compiling (TORCH_COMPILE_DISABLE, TORCHDYNAMO_DISABLE)",
    ),
    _clue(
        r"(?P<name>[\w.+-]+) is not installed or it's not in your (?i:path)|Is (?P<other>poppler) "
        r"installed and in PATH|(?P<third>Graphviz) executables are on your systems' PATH",
        "{name}, which it starts, is not in the image",
        "install it in the Dockerfile (in its last stage)",
    ),
    _clue(
        r"Run 'conda init' before 'conda activate'|configured to use 'conda activate'"
        r"|(sh|bash): (line \d+: )?activate: No such file",
        "no shell is set up for conda activate in a container",
        'let conda start it: command = ["conda", "run", "--no-capture-output", "-n", "…", '
        '"python", "…"] in {table}; or put the environment first in the Dockerfile: '
        "`ENV PATH=/opt/conda/envs/…/bin:$PATH`",
    ),
    _clue(
        r"^qemu-\S+: Could not open '/lib",
        "a program that it starts is for another platform",
        "install its build for this platform, in the Dockerfile",
    ),
    _clue(
        r"compiled to use \w+ instructions, but these aren't available|baseline optimizations"
        r"|your machine doesn't support",
        "a package needs instructions that this CPU lacks",
        "use a wheel for the baseline, or a machine (an emulated CPU: QEMU_CPU) that has them",
    ),
    # Packages
    _clue(
        r"No module named '?encodings\b|Fatal Python error: (init_fs_encoding|Py_Initialize: U)",
        "Python does not find its own standard library",
        "look at PYTHONHOME, and at PYTHONPATH, in the image and in `env`: neither may name "
        "another Python; a Python or venv that was copied from another stage needs the library "
        "that it was made with, and its user has to be able to read it",
    ),
    _clue(
        r"\[E050\] Can't find model '(?P<name>[\w.-]+)'",
        "spaCy's model {name} is not in the image",
        "install it in the image: `RUN python -m spacy download {name}`",
    ),
    _clue(
        r"No such kernel named (?P<name>[\w.-]+)",
        "the notebook's kernel {name} is not in the image",
        "install it in the image: `RUN pip install ipykernel && python -m ipykernel install "
        "--name {name}`; or name a kernel that is there",
    ),
    _clue(
        r"No module named '?(?P<name>distutils|pkg_resources)\b",
        "{name} is not part of this Python any more",
        "install setuptools in the image (`setuptools<81` has pkg_resources), or an older Python",
    ),
    _clue(
        r"No module named '?(?P<name>tomllib|zoneinfo|graphlib|compression|annotationlib)\b",
        "this Python is older than the program expects",
        "use a base image with a newer Python ({name} is part of it)",
    ),
    _clue(
        r"No module named '?(?P<name>imp|asyncore|asynchat|smtpd|cgi|crypt|telnetlib|pipes)'?$",
        "this Python is newer than the program expects",
        "use a base image with an older Python ({name} was removed), or a newer package",
    ),
    _clue(
        r"No module named '(?P<name>(sklearn|numpy|pandas|scipy|keras|torch|xgboost|lightgbm"
        r"|tensorflow)\.[\w.]+)'",
        "a file was written by another version of a package, or the "
        "program is for one ({name} is not in this one)",
        _VERSIONS,
    ),
    _clue(
        r"requires the (?P<name>[\w.-]+) (library|package) but it was not found"
        r"|make sure you have '(?P<other>[\w.-]+)' installed",
        "the package {name} is not in the image",
        "install it in the image: another package asks for it only where it is used",
    ),
    _clue(
        r"Error loading ASGI app\. Could not import module \"(?P<name>[\w.]+)\""
        r"|No module named '?(?P<other>src|app|lib|utils|config|models?|data|common|helpers)\b",
        "the project's own {name} is not found",
        'copy it into the image and let Python find it: env = {{ PYTHONPATH = "…" }} in {table}, '
        'command = ["python", "-m", …] or an installed package',
    ),
    _clue(
        # Python names the first part that is missing: what stands before the dot is there. Several
        # distributions share the folders that are left out here.
        r"No module named '(?P<name>(?!google\.|azure\.|ruamel\.|zope\.)\w+\.[\w.]+)'",
        "a package in the image is without {name}",
        "install the version that the program is written for (pin it, by a lock file, in the "
        "image); where it is the project's own, copy the whole package",
    ),
    _clue(
        r"No module named '?(?P<name>[\w.]+)|(?P<other>pyarrow|fastparquet|openpyxl|lxml) is "
        r"required|Unable to find a usable engine; tried using: '(?P<third>\w+)",
        "the package of {name} is not in the image",
        "install it in the image{hint}; where it is the project's own, copy it and set PYTHONPATH",
    ),
    _clue(
        r"requires a different Python: (?P<name>\S+) not in",
        "the image has another Python, {name}",
        "use a base image with a Python that it takes",
    ),
    _clue(
        r"cannot import name '(?P<name>\w+)' from '\w+(\.\w+)?' \(\S*/python3\.\d+/(?!site-|dist-)",
        "this Python has no {name} there",
        "use a base image with the Python that the program is written for",
    ),
    _clue(
        r"unsupported operand type\(s\) for \|: '(type|_GenericAlias|NoneType|ABCMeta)'"
        r"|'type' object is not subscriptable",
        "this Python is older than the program expects",
        "use a base image with a newer Python (3.10 or later)",
    ),
    _clue(
        r"module '(collections|inspect|asyncio|configparser|fractions)' has no attribute "
        r"'(Mapping|Iterable|Callable|MutableMapping|Sequence|Hashable|getargspec|coroutine"
        r"|SafeConfigParser|gcd)'",
        "this Python is newer than the program expects",
        "use a base image with an older Python, or a newer version of the package",
    ),
    _clue(
        r"^SyntaxError: ",
        "this Python is older than the program's syntax",
        "use a base image with a newer Python",
        near=r"^\s*(match [^=]+:|case [^=]+:|except\* ?\w|type \w+(\[.*\])? = |(if|while) .*:=.*:"
        r"|def \w+\[)\s*$",
    ),
    _clue(
        r"numpy\.dtype size changed|compiled using NumPy 1\.x cannot be run"
        r"|numpy\.core\.multiarray failed to import|was removed in the NumPy 2\.0 release"
        r"|module 'numpy' has no attribute '(float|int|bool|object|str|complex|long)_?'"
        r"|_ARRAY_API not found",
        "NumPy and another package, or the program, do not fit each other",
        "install versions that fit (often `numpy<2`, for old programs `numpy<1.24`): pin them in "
        "the image",
    ),
    _clue(
        r": undefined symbol: |Descriptors cannot (not )?be created directly"
        r"|cannot import name '(?P<name>\w+)' from '(?P<other>[\w.]+)' "
        r"\(\S*(site|dist)-packages/",
        "two packages do not fit each other",
        _PINS,
    ),
    # Files that packages wrote
    _clue(
        r"Can't get attribute '\w+' on <module '__(mp_)?main__'",
        "a pickle names a class of the program that wrote it",
        "define the class in a module that both programs import, not in the script itself, and "
        "write the pickle anew",
    ),
    _clue(
        r"Can't get attribute '\w+' on <module '|from the pickle has an incompatible dtype"
        r"|unsupported pickle protocol|is not a known BitGenerator module"
        r"|Error when deserializing class '|Unrecognized keyword arguments: \['batch_shape'\]"
        r"|Trying to unpickle estimator",
        "a file was written by another version of a package",
        _VERSIONS,
    ),
    _clue(
        r"Weights only load failed",
        "torch.load refuses what may run code",
        "save the state dict alone and load that; of a file that you trust, load it with "
        "weights_only=False",
    ),
    _clue(
        r"invalid load key|HeaderTooLarge|INVALID_PROTOBUF|Protobuf parsing failed"
        r"|failed finding central directory|pickle data was truncated|Ran out of input$"
        r"|BadZipFile: File is not a zip file|truncated file: eof =|not a parquet file"
        r"|MetadataIncompleteBuffer|unexpected EOF, expected \d+ more bytes"
        r"|file signature not found|[Nn]ot a gzipped file|Compressed file ended before"
        r"|Invalid magic number; corrupt file",
        "a file that it reads is damaged, empty or a pointer of Git LFS",
        _DAMAGED,
    ),
    _clue(  # pickle's reader in Python, which joblib uses, of a byte that it does not know
        r"^KeyError: \d{1,3}$",
        "a file that it reads is damaged, empty or a pointer of Git LFS",
        _DAMAGED,
        near=r"\bdispatch\[key\[0\]\]\(self\)",
    ),
    # Limits
    _clue(
        r"\[Errno 24\]|Too many open files|received 0 items of ancdata",
        "it has too many files open",
        "let it close them, or have fewer workers; for PyTorch "
        "torch.multiprocessing.set_sharing_strategy('file_system')",
    ),
    _clue(
        r"cannot allocate memory in static TLS block",
        "a library came too late to be loaded",
        "import that package first, or name the library of the message in "
        'LD_PRELOAD: env = {{ LD_PRELOAD = "…" }} in {table}',
    ),
    _clue(
        r"^\s*Resource '?(?P<name>\w+)'? not found",
        "data that it would download are not in the image",
        "bring {name} into the image (`RUN python -m nltk.downloader {name}`), or "
        'network = "bridge" in {table}',
        near=r"(?i)downloader|nltk",
    ),
    # Screens, terminals, text
    _clue(
        r"qt\.qpa\.xcb: could not connect|no Qt platform plugin could be initialized"
        r"|no display name and no \$DISPLAY|The function is not implemented\. Rebuild the library"
        r"|cannot open display",
        "it looks for a screen",
        _SCREEN,
    ),
    _clue(
        r"EOFError: EOF when reading a line|Inappropriate ioctl for device|not a (tty|TTY)\b",
        "it asks somebody at a terminal, and there is none",
        "give it its answers as arguments or variables (`--yes`, `DEBIAN_FRONTEND`)",
    ),
    _clue(
        r"Unicode(En|De)codeError: 'ascii' codec",
        "its text is taken for ASCII",
        'env = {{ PYTHONUTF8 = "1", LC_ALL = "C.UTF-8" }} in {table}, or name the encoding where '
        "the program opens files",
    ),
    _clue(
        r"ZoneInfoNotFoundError|No time zone found with key|UnknownTimeZoneError",
        "the image has no time zones",
        "install tzdata in the image (`pip install tzdata`, or the system's package)",
    ),
    _clue(
        r"locale\.Error: unsupported locale setting|cannot change locale",
        "the image does not have that locale",
        'install locales and generate it in the Dockerfile, or use LC_ALL = "C.UTF-8"',
    ),
    _clue(
        r"not a git repository|InvalidGitRepositoryError|dubious ownership in repository"
        r"|setuptools-scm was unable to detect version|Bad git executable",
        "it looks for a Git repository, which is not in the image",
        "give it what it reads there as a variable or build argument (SETUPTOOLS_SCM_PRETEND_"
        "VERSION, GIT_COMMIT): env = {{ … }} in {table}",
    ),
    _clue(
        r"error: (unrecognized arguments: |the following arguments are required|argument \S+: )"
        r"|^Error: (No such (option|command)|Missing (option|argument|parameter))"
        r"|MissingMandatoryValue: |^Could not override '",
        "its command line is not understood",
        "correct `command` in {table}: it follows the image's ENTRYPOINT",
    ),
)

# The distribution that has a module, where their names differ.
DISTRIBUTIONS: Final = {
    "cv2": "opencv-python-headless",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "PIL": "pillow",
    "yaml": "PyYAML",
    "bs4": "beautifulsoup4",
    "dotenv": "python-dotenv",
    "dateutil": "python-dateutil",
    "Crypto": "pycryptodome",
    "google.protobuf": "protobuf",
    "attr": "attrs",
    "git": "GitPython",
    "faiss": "faiss-cpu",
    "fitz": "PyMuPDF",
    "MySQLdb": "mysqlclient",
    "psycopg2": "psycopg2-binary",
    "serial": "pyserial",
    "jwt": "PyJWT",
    "magic": "python-magic",
    "umap": "umap-learn",
    "imblearn": "imbalanced-learn",
    "pytorch_lightning": "pytorch-lightning",
    "sentence_transformers": "sentence-transformers",
    "huggingface_hub": "huggingface-hub",
}
