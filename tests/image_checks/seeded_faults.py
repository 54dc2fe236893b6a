"""Small Dockerfiles with one fault each: what is wrong, and at which line it has to be found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

PINNED: Final = "python:3.12-slim@sha256:" + "0" * 64
HEAD: Final = f"FROM {PINNED}\nUSER 1000\n"


@dataclass(frozen=True)
class SeededFault:
    """One fault.

    Args:
        name: of the test.
        files: of the context, besides the Dockerfile.
        place: where it is to be found, and at which line.
    """

    name: str
    rule: str
    line: int | None
    dockerfile: str
    place: str = "Dockerfile"
    files: dict[str, str] = field(default_factory=dict)


def _uv(table: str) -> dict[str, str]:
    head = '[project]\nname = "a"\nversion = "1"\ndependencies = ["torchvision"]\n'
    return {"pyproject.toml": f"{head}\n{table}\n"}


LARGE: Final = "x" * 2000  # the tests call 1 kB large
FAULTS: Final = (
    SeededFault("no tag", "ML001", 1, "FROM ubuntu\nUSER 1\n"),
    SeededFault("latest", "ML001", 2, "# a\nFROM nvcr.io/nvidia/pytorch:latest\nUSER 1\n"),
    SeededFault("tag that moves", "ML001", 3,
                f"{HEAD}COPY --from=debian:stable-slim /a /b\n"),
    SeededFault("tag alone", "ML001", 1, "FROM python:3.12-slim\nUSER 1\n"),
    SeededFault("argument before FROM", "ML001", 3, 'ARG V=3.12\nARG B="python:$V"\nFROM ${B}\n'),
    SeededFault("second stage", "ML001", 2, f"FROM {PINNED} AS a\nFROM debian:12\nUSER 1\n"),
    SeededFault("copied from latest", "ML001", 3,
                f"{HEAD}COPY --from=ghcr.io/a/uv:latest /uv /bin/\n"),
    SeededFault("pip", "ML002", 3, f"{HEAD}RUN pip install numpy\n"),
    SeededFault("pip of a module", "ML002", 3, f"{HEAD}RUN cd /a && python3 -m pip install a\n"),
    SeededFault("pip in a list", "ML002", 3, f'{HEAD}RUN ["pip", "install", "a"]\n'),
    SeededFault("pip after a comment in a continuation", "ML002", 3,
                f"{HEAD}RUN set -e; \\\n  # the libraries\n  pip3 install a\n"),
    SeededFault("pip in a heredoc", "ML002", 3, f"{HEAD}RUN <<EOF\nset -e\npip install a\nEOF\n"),
    SeededFault("pip in a parent stage", "ML002", 2,
                f"FROM {PINNED} AS base\nRUN pip install a\nFROM base\nUSER 1\n"),
    SeededFault("pip from a page of links", "ML002", 3,
                f"{HEAD}RUN pip install --no-index -f https://a.org/wheels a\n"),
    SeededFault("uv", "ML002", 3, f"{HEAD}RUN uv sync --frozen\n"),
    SeededFault("poetry", "ML002", 3, f"{HEAD}RUN poetry install --no-root\n"),
    SeededFault("apt lists", "ML003", 3, f"{HEAD}RUN apt-get update && apt-get install -y git=1\n"),
    SeededFault("apt lists removed too late", "ML003", 3,
                f"{HEAD}RUN apt-get update\nRUN rm -rf /var/lib/apt/lists/*\n"),
    SeededFault("conda", "ML004", 3, f"{HEAD}RUN conda install -y numpy=2\n"),
    SeededFault("conda environment", "ML004", 3, f"{HEAD}RUN mamba env create -f env.yml\n"),
    SeededFault("weights", "ML005", 3, f"{HEAD}COPY . /app\n", files={"m/last.ckpt": LARGE}),
    SeededFault("data", "ML005", 3, f"{HEAD}COPY . /app\n", files={"data/a.csv": LARGE}),
    SeededFault("weights by a pattern", "ML005", 3, f"{HEAD}COPY * /app/\n", files={"a.pt": LARGE}),
    SeededFault("root again", "ML006", 3, f"{HEAD}USER root\n"),
    SeededFault("no user", "ML006", 1, f"FROM {PINNED}\n"),
    SeededFault("secret argument", "ML007", 3, f"{HEAD}ARG HF_TOKEN\n"),
    SeededFault("secret in ENV", "ML007", 3, f"{HEAD}ENV A=1 \\\n  DB_PASSWORD=hunter2\n"),
    SeededFault("secret in the old form of ENV", "ML007", 3, f"{HEAD}ENV API_KEY abc def\n"),
    SeededFault("token as text", "ML007", 3, f"{HEAD}RUN hf auth login --token hf_{'aB3' * 11}\n"),
    SeededFault("token in a heredoc", "ML007", 3,
                f"{HEAD}COPY <<EOF /root/.netrc\nmachine a\npassword ghp_{'aB3d' * 9}\nEOF\n"),
    SeededFault("password in a URL", "ML007", 3,
                f"{HEAD}RUN pip install --no-cache-dir -i https://me:s3cretword@a.org/b c\n"),
    SeededFault("secret in another stage", "ML007", 2,
                f"FROM {PINNED} AS a\nARG GITHUB_TOKEN\nFROM {PINNED}\nUSER 1\n"),
    SeededFault("argument in a URL", "ML007", 3,
                f"{HEAD}RUN git clone https://x:${{TOKEN}}@github.com/a/b\n"),
    SeededFault("env file", "ML008", 3, f"{HEAD}COPY . .\n", files={".env": "A=1"}),
    SeededFault("private key", "ML008", 3, f"{HEAD}COPY conf /conf\n",
                files={"conf/tls.key": "-----BEGIN RSA PRIVATE KEY-----\n"}),
    SeededFault("history", "ML009", 3, f"{HEAD}COPY . .\n", files={".git/HEAD": "ref"}),
    SeededFault("virtual environment", "ML009", 3, f"{HEAD}ADD . /app\n",
                files={"env/pyvenv.cfg": "home = /usr"}),
    SeededFault("extra index", "ML010", 3,
                f"{HEAD}RUN pip install --no-cache-dir torch --extra-index-url https://a.org/w\n"),
    SeededFault("extra index in ENV", "ML010", 3, f"{HEAD}ENV PIP_EXTRA_INDEX_URL=https://a.org\n"),
    SeededFault("extra index in requirements", "ML010", 2,
                f"{HEAD}RUN pip install --no-cache-dir -r requirements.txt\n",
                place="requirements.txt",
                files={"requirements.txt": "a==1\n--extra-index-url https://a.org\n"}),
    SeededFault("uv source", "ML011", 7, f"{HEAD}RUN uv sync --no-cache\n", place="pyproject.toml",
                files=_uv('[tool.uv.sources]\ntorch = { index = "pytorch-cpu" }')),
    SeededFault("piped script", "ML012", 3, f"{HEAD}RUN curl -LsSf https://a.org/i.sh | sh\n"),
    SeededFault("script piped into sudo", "ML012", 3,
                f"{HEAD}RUN wget -qO- https://a.org/i.sh | sudo -E bash -\n"),
    SeededFault("substituted script", "ML012", 3,
                f'{HEAD}RUN bash -c "$(curl -fsSL https://a.org/i.sh)"\n'),
    SeededFault("script into Python", "ML012", 3, f"{HEAD}RUN curl https://a.org/p | python3 -\n"),
    SeededFault("token in an assignment of a command", "ML007", 3,
                f"{HEAD}RUN WANDB_API_KEY=abcdefgh12345678 python get.py\n"),
    SeededFault("token that is exported", "ML007", 3,
                f"{HEAD}RUN export HF_TOKEN='abcdefgh12345678' && python get.py\n"),
    SeededFault("token in a header", "ML007", 3,
                f"{HEAD}RUN curl -H 'Authorization: Bearer abcdefgh1234' https://a.org/b -o /b\n"),
    SeededFault("password as an option", "ML007", 3,
                f"{HEAD}RUN wget --user=me --password=hunter2pass https://a.org/d.zip\n"),
    SeededFault("password in netrc", "ML007", 3,
                f"{HEAD}RUN echo 'machine a.org login me password hunter2' > /root/.netrc\n"),
    SeededFault("env file of a stage", "ML008", 3, f"{HEAD}COPY conf /c\n",
                files={"conf/.env.staging": "A=1"}),
    SeededFault("key of a service account", "ML008", 3, f"{HEAD}COPY gcp-key.json /\n",
                files={"gcp-key.json": '{"private_key": "-----BEGIN PRIVATE KEY-----\\n"}'}),
    SeededFault("pip in a shell", "ML002", 3,
                f"{HEAD}RUN bash -lc 'source /v/bin/activate && pip install a'\n"),
    SeededFault("pip in an environment of conda", "ML002", 3,
                f"{HEAD}RUN conda run --no-capture-output -n a pip install b\n"),
    SeededFault("pip wheel", "ML002", 3, f"{HEAD}RUN pip wheel -w /w -r requirements.txt\n"),
    SeededFault("extra index of a command", "ML010", 3,
                f"{HEAD}RUN PIP_EXTRA_INDEX_URL=https://a.org pip install --no-cache-dir a\n"),
    SeededFault("extra index in pip's configuration", "ML010", 3,
                f"{HEAD}RUN pip config set global.extra-index-url https://a.org\n"),
    SeededFault("extra index in pip.conf", "ML010", 2, f"{HEAD}COPY pip.conf /etc/\n",
                place="pip.conf",
                files={"pip.conf": "[global]\nextra-index-url = https://a.org\n"}),
    SeededFault("extra index in included requirements", "ML010", 1,
                f"{HEAD}RUN pip install --no-cache-dir -r r/dev.txt\n", place="r/base.txt",
                files={"r/dev.txt": "-r base.txt\n", "r/base.txt": "--extra-index-url a\n"}),
    SeededFault("weights by ADD", "ML014", 3,
                f"{HEAD}ADD https://a.org/b/model.safetensors?download=true /m/\n"),
    SeededFault("weights by wget", "ML014", 3, f"{HEAD}RUN wget -q https://a.org/resnet50.pth\n"),
    SeededFault("weights from the hub", "ML014", 3, f"{HEAD}RUN hf download a/b\n"),
    SeededFault("weights by git", "ML014", 3,
                f"{HEAD}RUN git clone https://huggingface.co/a/b /m\n"),
    SeededFault("weights in Python", "ML014", 3,
                f"{HEAD}RUN python -c \"import t; t.AutoModel.from_pretrained('a/b')\"\n"),
    SeededFault("mounted from latest", "ML001", 3,
                f"{HEAD}RUN --mount=from=ghcr.io/a/uv:latest,source=/uv,target=/b/uv uv --help\n"),
    SeededFault("default in FROM", "ML001", 2, "ARG V\nFROM python:${V:-latest}\nUSER 1\n"),
    SeededFault("npm", "ML002", 3, f"{HEAD}RUN npm ci\n"),
    SeededFault("pip after an option with a value", "ML002", 3,
                f"{HEAD}RUN python -m pip --timeout 5 install a==1\n"),
    SeededFault("notebooks", "ML005", 3, f"{HEAD}COPY . .\n",
                files={f"notebooks/{n}.ipynb": LARGE[:800] for n in range(4)}),
    SeededFault("pictures in folders of no name", "ML005", 3, f"{HEAD}COPY . .\n",
                files={"a.py": "", **{f"faces/{n}/a.jpg": LARGE[:400] for n in range(4)}}),
    SeededFault("root by an argument", "ML006", 4, f"{HEAD}ARG WHO=root\nUSER $WHO\n"),
    SeededFault("secret in a label", "ML007", 3, f"{HEAD}LABEL api_key=abcdefgh12345678\n"),
    SeededFault("key of W&B", "ML007", 3, f"{HEAD}RUN wandb login {'0123abcd' * 5}\n"),
    SeededFault("key of Kaggle in a file", "ML007", 3,
                f"{HEAD}RUN echo '{{\"username\":\"me\",\"key\":\"{'0a' * 16}\"}}' > /k.json\n"),
    SeededFault("argument given as a token", "ML007", 4,
                f"{HEAD}ARG HUB\nRUN hf auth login --token $HUB\n"),
    SeededFault("key of ssh by any name", "ML008", 3, f"{HEAD}COPY .ssh /root/.ssh\n",
                files={".ssh/deploy": "-----BEGIN OPENSSH PRIVATE KEY-----\n"}),
    SeededFault("token of the hub", "ML008", 3, f"{HEAD}COPY . .\n",
                files={".huggingface/token": "hf_a"}),
    SeededFault("virtual environment of another name", "ML009", 3, f"{HEAD}COPY . /app\n",
                files={"py3/pyvenv.cfg": "home = /usr"}),
    SeededFault("environment of conda", "ML009", 3, f"{HEAD}COPY . /app\n",
                files={"env3/conda-meta/history": ""}),
    SeededFault("stored script", "ML012", 3,
                f"{HEAD}RUN curl -fsSLo x https://a.org/i.sh && sh x\n"),
    SeededFault("stored script by its own name", "ML012", 3,
                f"{HEAD}RUN curl -O https://a.org/get-pip.py && python3 get-pip.py --user\n"),
    SeededFault("stored script that is made executable", "ML012", 3,
                f"{HEAD}RUN wget -q https://a.org/i.sh && chmod +x i.sh && ./i.sh\n"),
    SeededFault("script of an earlier instruction", "ML012", 3,
                f"{HEAD}RUN wget -qO /m.sh https://a.org/Conda-latest.sh\nRUN bash /m.sh -b\n"),
    SeededFault("script by ADD", "ML012", 3,
                f"{HEAD}ADD https://a.org/install.sh /i.sh\nRUN sh /i.sh\n"),
    SeededFault("file by ADD", "ML014", 3, f"{HEAD}ADD https://a.org/tool.tgz /t/\n"),
    SeededFault("weights by gdown", "ML014", 3, f"{HEAD}RUN gdown 1AbCdEfGh -O /m/a\n"),
    SeededFault("archive of weights", "ML014", 3,
                f"{HEAD}RUN curl -LO https://a.org/models/bert.tar.gz\n"),
    SeededFault("data by wget", "ML014", 3, f"{HEAD}RUN wget -q https://a.org/data/train.zip\n"),
    SeededFault("file of the hub's branch", "ML014", 3,
                f"{HEAD}RUN wget -q https://huggingface.co/a/b/resolve/main/config.json\n"),
    SeededFault("weights from a bucket", "ML014", 3,
                f"{HEAD}RUN aws s3 cp --no-sign-request s3://a/b /m\n"),
    SeededFault("data of Kaggle", "ML014", 3, f"{HEAD}RUN kaggle datasets download -d a/b\n"),
    SeededFault("weights of torch.hub", "ML014", 3,
                f"{HEAD}RUN python -c \"import torch; torch.hub.load('a/b', 'c')\"\n"),
    SeededFault("data of NLTK", "ML014", 3, f"{HEAD}RUN python -m nltk.downloader punkt\n"),
    SeededFault("no version for pip", "ML015", 3, f"{HEAD}RUN pip install --no-cache-dir a b==1\n"),
    SeededFault("no version for uv", "ML015", 3,
                f"{HEAD}RUN uv pip install --system --no-cache 'a>=2'\n"),
    SeededFault("no version for conda", "ML015", 3,
                f"{HEAD}RUN conda install -y -c pytorch a b=1 && conda clean -ay\n"),
    SeededFault("no commit", "ML015", 3,
                f"{HEAD}RUN pip install --no-cache-dir git+https://a.org/b.git\n"),
    SeededFault("branch for a commit", "ML015", 3,
                f"{HEAD}RUN pip install --no-cache-dir 'b @ git+https://a.org/b@main'\n"),
    SeededFault("archive of a branch", "ML015", 3,
                f"{HEAD}RUN pip install --no-cache-dir https://a.org/a/b/archive/main.zip\n"),
    SeededFault("clone", "ML015", 3,
                f"{HEAD}RUN git clone --depth 1 https://a.org/b && cd b && make\n"),
    SeededFault("repository by ADD", "ML015", 3, f"{HEAD}ADD https://a.org/b.git /b\n"),
    SeededFault("requirements without versions", "ML015", 3,
                f"{HEAD}RUN pip install --no-cache-dir -r requirements.txt\n",
                place="requirements.txt",
                files={"requirements.txt": "# all\na==1\nb>=2 ; python_version > '3'\nc[d]\n"}),
    SeededFault("requirements of uv's own option", "ML015", 1,
                f"{HEAD}RUN uv pip install --no-cache --system --requirements r.txt\n",
                place="r.txt", files={"r.txt": "a\n"}),
    SeededFault("requirement without a commit", "ML015", 2,
                f"{HEAD}RUN uv pip install --no-cache --system -r requirements.txt\n",
                place="requirements.txt",
                files={"requirements.txt": "a==1\n-e git+https://a.org/b.git#egg=b\n"}),
    SeededFault("dependencies of a project without a lock", "ML015", 4,
                f"{HEAD}RUN uv pip install --no-cache --system -r pyproject.toml\n",
                place="pyproject.toml", files=_uv("")),
    SeededFault("lock that may be written anew", "ML015", 3,
                f"{HEAD}RUN uv sync --no-cache --no-dev\n", files={**_uv(""), "uv.lock": ""}),
    SeededFault("no lock", "ML015", 3, f"{HEAD}RUN uv sync --no-cache\n", files=_uv("")),
    SeededFault("lock that is written in the build", "ML015", 3,
                f"{HEAD}RUN poetry lock && poetry install --no-cache --only main\n"),
    SeededFault("Pipfile", "ML015", 3, f"{HEAD}RUN pipenv install --system\n"),
    SeededFault("setup.py", "ML015", 3, f"{HEAD}RUN python setup.py install\n",
                files={"setup.py": "setup(install_requires=['a'])"}),
    SeededFault("owner that is changed later", "ML016", 5,
                f"{HEAD}WORKDIR /app\nCOPY a.py .\nRUN chown -R 1000 .\n"),
    SeededFault("permissions for all", "ML016", 3, f"{HEAD}RUN mkdir /out && chmod 777 /out\n"),
    SeededFault("permissions for all by letters", "ML016", 3, f"{HEAD}RUN chmod -R a+rwX /opt\n"),
    SeededFault("permissions for all by COPY", "ML016", 3, f"{HEAD}COPY --chmod=0777 a.py /a\n"),
    SeededFault("tools of development by Poetry", "ML017", 3,
                f"{HEAD}RUN poetry install --no-cache\n",
                files={"pyproject.toml": '[tool.poetry.group.dev.dependencies]\npytest = "8"\n'}),
    SeededFault("tools of development by uv", "ML017", 3,
                f"{HEAD}RUN uv sync --no-cache --frozen\n",
                files=_uv('[dependency-groups]\ndev = ["pytest"]')),
    SeededFault("a folder of sources before dependencies", "ML013", 4,
                f"{HEAD}COPY app /app\nRUN pip install --no-cache-dir -r /app/requirements.txt\n",
                files={"app/a.py": "", "app/requirements.txt": "a==1"}),
    SeededFault("sources before dependencies", "ML013", 4,
                f"{HEAD}COPY . .\nRUN pip install --no-cache-dir -r requirements.txt\n"),
    SeededFault("sources before a lock", "ML013", 4,
                f"{HEAD}COPY . .\nRUN uv sync --no-cache --frozen\n"),
)  # fmt: skip

# The same things as they should be, or where they cost nothing.
SOUND: Final = {
    "pinned": f"{HEAD}RUN true\n",
    "pip with an option": f"{HEAD}RUN pip install --no-cache-dir a==1\n",
    "pip from a folder": f"{HEAD}RUN pip install --no-index --find-links=/wheels a==1\n",
    "pip with a shortened option": f"{HEAD}RUN pip install --no-cache a==1\n",
    "setup of another project": f"{HEAD}RUN cd /kernels && python setup.py install\n",
    "pip with a variable": f"{HEAD}ENV PIP_NO_CACHE_DIR=1\nRUN pip install a==1\n",
    "pip with a setting": f"{HEAD}RUN PIP_NO_CACHE_DIR=1 pip install a==1\n",
    "pip with a mount": f"{HEAD}RUN --mount=type=cache,target=/root/.cache/pip pip install a==1\n",
    "pip with a mount of all": f"{HEAD}RUN --mount=type=cache,target=/root/.cache "
    "pip install a==1  # as where it was trained\n",
    "pip with a removed cache": f"{HEAD}RUN pip install a==1 && rm -rf /root/.cache\n",
    "pip in another stage": f"FROM {PINNED} AS a\nRUN pip install a==1\nFROM {PINNED}\nUSER 1\n",
    "pip that only shows": f"{HEAD}RUN pip list && echo pip install a > /tmp/x\n",
    "pip in a Python heredoc": f"{HEAD}RUN python3 <<EOF\npip install a\nEOF\n",
    "apt": f"{HEAD}RUN apt-get update && apt-get install a && rm -rf /var/lib/apt/lists/*\n",
    "apt with mounts": f"{HEAD}RUN --mount=type=cache,target=/var/lib/apt apt-get update\n",
    "conda": f"{HEAD}RUN conda install a=1 && conda clean -ay\n",
    "no secret": f"{HEAD}ENV TOKENIZERS_PARALLELISM=false MAX_TOKEN=5 API_KEY= KEY_FILE=/run/a\n",
    "secret that is mounted": f"{HEAD}RUN --mount=type=secret,id=t,env=T git clone -b v1 "
    "https://x:$T@a.org/b\n",
    "secrets that are given": f"{HEAD}RUN --mount=type=secret,id=t HF_TOKEN=$(cat /run/secrets/t) "
    'sh -c \'curl -H "Authorization: Bearer $HF_TOKEN" a.org --password="$P"\'\n',
    "names that are none of secrets": f"{HEAD}RUN TOKENIZERS_PARALLELISM=false MAX_TOKEN=5 a "
    "--password-stdin --token-limit=9 --max-tokens 512\n",
    "weights with a checksum": f"{HEAD}ADD --checksum=sha256:{'0' * 64} https://a.org/a.pt /m/\n"
    "RUN wget https://a.org/b.onnx && echo '0 b.onnx' | sha256sum --check\n"
    "RUN hf download a/b --revision 0123abc && python -c \"f('a', revision='0123')\"\n",
    "other downloads": f"{HEAD}RUN wget https://a.org/tool.tar.gz && git clone -b v1 https://a.org/b\n",
    "uv with an extra index": f"{HEAD}RUN PIP_EXTRA_INDEX_URL=a uv pip install --no-cache b==1\n",
    "piped data": f"{HEAD}RUN curl https://a.org/x.tgz | tar xz && curl a | python3 -c b\n",
    "dependencies first": f"{HEAD}COPY pyproject.toml uv.lock .\nRUN uv sync --no-cache\nCOPY . .\n"
    "RUN uv sync --no-cache\n",
    "files alone": "FROM scratch\nCOPY a /\n",
    "npm": f"{HEAD}RUN npm ci && npm cache clean --force && rm -rf ~/.npm\n"
    "RUN --mount=type=cache,target=/root/.npm npm ci\n",
    "scripts with a version or a checksum": f"{HEAD}RUN wget https://a.org/1.2.3/i.sh && sh i.sh\n"
    "RUN curl -o x https://a.org/i.sh && echo '0 x' | sha256sum -c && sh x\n"
    f"ADD --checksum=sha256:{'0' * 64} https://a.org/i.sh /\nRUN sh /i.sh\n",
    "scripts that nobody runs": f"{HEAD}RUN curl -O https://a.org/i.sh && sh other.sh\n",
    "known versions": f"{HEAD}RUN pip install --no-cache-dir a==1 'b[c]==2' ./d $E git+https://a.org/"
    "b@v1 -c all.txt f\nRUN pip install --no-cache-dir --upgrade pip setuptools\n"
    "RUN conda install -n env -c conda-forge a=1 'b==2' && conda clean -ay\n"
    "RUN git clone https://a.org/b && git -C b checkout 0123abc\nADD https://a.org/b.git#v1 /b\n",
    "values of options": f"{HEAD}RUN uv pip install --no-cache --python /a/bin/python "
    "--require-hashes --only-binary :all: --requirements all.txt\nRUN pip install --no-cache-dir "
    "--root-user-action ignore --src src --no-binary a -t out a==1\n",
    "locks": f"{HEAD}ENV UV_LOCKED=1\nRUN uv sync --no-cache && pipenv sync && uv lock --check\n",
    "permissions": f"{HEAD}RUN mkdir /o && chown -R 1000 /o && chmod 755 /o && chmod 1777 /t\n"
    "COPY --chown=1000 --chmod=755 a /a\nRUN chmod +x /a && chmod g+w /b"
    " && chmod 777 /tmp && chmod +rwx /c\n",
    "loaded from a folder": f"{HEAD}RUN python -c \"M.from_pretrained('/models/a')\"\n"
    "RUN aws s3 cp /a s3://b && hf download a --revision 0123\n",
    "given tokens": f"{HEAD}ARG T\nRUN --mount=type=secret,id=t,env=T hf auth login --token $T\n",
    "cleaned by a script": f"{HEAD}COPY clean-layer.sh /bin/\nRUN apt-get update "
    "&& pip install a==1 && conda install a=1 && clean-layer.sh\n",
    "base of Ray": "FROM rayproject/ray@sha256:" + "0" * 64 + "\n",
    "known user": "FROM quay.io/jupyter/base-notebook@sha256:" + "0" * 64 + "\n",
}
