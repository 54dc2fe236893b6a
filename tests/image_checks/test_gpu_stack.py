"""What an image has for GPUs, read from its files, and where that does not fit together.

The texts of packages are as their wheels have them: torch 2.6 and 2.15, tensorflow 2.18 and 2.22,
onnxruntime-gpu 1.31.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_mlcontainer.image_checks.gpu import drivers
from pytest_mlcontainer.image_checks.gpu.capabilities import Coverage, coverage
from pytest_mlcontainer.image_checks.gpu.findings import (
    agreement_findings,
    capability_findings,
    cpu_findings,
    cudnn_findings,
    driver_findings,
    pin_findings,
    platform_findings,
)
from pytest_mlcontainer.image_checks.gpu.stack import GpuStack, read_stack, tensorflow_cudnn
from pytest_mlcontainer.image_checks.inventory import read_image, resolve
from pytest_mlcontainer.image_checks.size.measure import measure, visible_texts
from pytest_mlcontainer.image_checks.size.packages import Package, PackageFiles
from pytest_mlcontainer.model import ImageFinding, Platform, Severity
from tests.image_checks.saved_images import SavedImage, in_pieces, oci_layout, tar_of
from tests.image_checks.test_fatbin import CUBIN, PTX, fatbin
from tests.image_checks.test_size_figures import SITE, distribution, some

TORCH = "cuda: Optional[str] = '{}'\nhip: Optional[str] = None\n"
TENSORFLOW = (
    "build_info = collections.OrderedDict([('cuda_compute_capabilities', ['sm_60', "
    "'compute_90']), ('cuda_version', '12.5.1'), ('cudnn_version', '9'), "
    "('is_cuda_build', True)])"
)
NEW_TENSORFLOW = "build_info = collections.OrderedDict([('is_cuda_build', {})])"


def library(*targets: tuple[int, int]) -> bytes:
    """An ELF file with code for GPUs."""
    code = fatbin(*((kind, number, b"c" * 99) for kind, number in targets))
    return b"\x7fELF" + bytes(200) + code + some(3000, f"{targets}")


def torch(version: str = "2.6.0", cuda: str = "12.4", code: bytes = b"") -> dict[str, bytes]:
    files = {"torch/version.py": TORCH.format(cuda).replace("'None'", "None").encode()}
    return distribution("torch", version, files | ({"torch/lib/a.so": code} if code else {}))


class Read:
    """A stack, with what findings need besides."""

    def __init__(self, files: Mapping[str, bytes], env: tuple[str, ...] = ()) -> None:
        saved = SavedImage((("RUN", tar_of(files)),), env=env)
        inventory = read_image(in_pieces(oci_layout(saved)), Platform("linux", "amd64"))
        visible = resolve(inventory.layers)
        self.texts = visible_texts(inventory, visible)
        self.sizes: dict[Package, int] = dict(measure(inventory, visible).packages)
        owners = PackageFiles(self.texts)
        self.stack: GpuStack = read_stack(inventory, visible, self.texts, owners)

    @property
    def users(self) -> dict[str, str]:
        return {str(each.package): each.release for each in self.stack.users}


def rules(findings: object) -> list[tuple[str, Severity]]:
    assert hasattr(findings, "__iter__")
    return [(each.rule, each.severity) for each in findings]


def only(findings: object) -> ImageFinding:
    assert hasattr(findings, "__iter__")
    (finding,) = findings
    assert isinstance(finding, ImageFinding)
    return finding


@pytest.mark.parametrize(
    ("files", "users"),
    [
        (torch("2.6.0+cu118"), {"torch 2.6.0+cu118": "CUDA 11.8"}),
        (torch("2.15.0", "13.2"), {"torch 2.15.0": "CUDA 13.2"}),
        (torch("2.6.0+cpu", "None"), {}),
        (torch("2.6.0", "None"), {}),
        (
            distribution(
                "tensorflow",
                "2.18.0",
                {"tensorflow/python/platform/build_info.py": TENSORFLOW.encode()},
            ),
            {"tensorflow 2.18.0": "CUDA 12.5"},
        ),
        (
            distribution(
                "tensorflow",
                "2.22.0",
                {"tensorflow/python/platform/build_info.py": NEW_TENSORFLOW.format(True).encode()},
            ),
            {"tensorflow 2.22.0": "some CUDA"},
        ),
        (
            distribution(
                "tensorflow",
                "2.22.0",
                {"tensorflow/python/platform/build_info.py": NEW_TENSORFLOW.format(False).encode()},
            ),
            {},
        ),
        (
            distribution(
                "onnxruntime_gpu",
                "1.31.1",
                {"onnxruntime/capi/build_and_package_info.py": b"cuda_version = '13.0'\n"},
            ),
            {"onnxruntime-gpu 1.31.1": "CUDA 13.0"},
        ),
        (
            distribution("cupy_cuda12x", "13.0", {"cupy/a.py": b"1"}),
            {"cupy-cuda12x 13.0": "CUDA 12"},
        ),
        (
            distribution("jax_cuda13_plugin", "0.9", {"jax_plugins/a.py": b"1"}),
            {"jax-cuda13-plugin 0.9": "CUDA 13"},
        ),
        (
            distribution("xgboost", "3.4", {"xgboost/lib/x.so": library((CUBIN, 80))}),
            {"xgboost 3.4": "some CUDA"},
        ),
        (distribution("xgboost", "3.4", {"xgboost/lib/x.so": b"\x7fELF" + bytes(9000)}), {}),
        (distribution("numpy", "2.0", {"numpy/a.py": b"cuda = '12.4'"}), {}),
    ],
)
def test_packages_say_which_cuda_they_are_built_for(
    files: dict[str, bytes], users: dict[str, str]
) -> None:
    assert Read(files).users == users


def test_wheels_of_nvidias_say_it_too() -> None:
    read = Read(
        {
            **distribution("nvidia_cuda_runtime_cu12", "12.6.77", {"nvidia/a": b"1"}),
            **distribution("nvidia_cudnn_cu13", "9.26.0.51", {"nvidia/b": b"1"}),
            **distribution("nvidia_cublas", "13.1.0.3", {"nvidia/c": b"1"}),
            **distribution("nvidia_ml_py", "12.535", {"pynvml.py": b"1"}),
        }
    )
    assert {each.package.name: each.release for each in read.stack.nvidia} == {
        "nvidia-cuda-runtime-cu12": "CUDA 12.6",
        "nvidia-cudnn-cu13": "CUDA 13",
        "nvidia-cublas": "CUDA 13",
    }


def test_an_image_without_anything_of_cuda_has_none() -> None:
    assert not Read({"app": b"1", f"{SITE}/a.so": b"\x7fELF" + bytes(5000)}).stack.is_there


def test_libraries_and_the_base_are_read() -> None:
    read = Read(
        {
            "usr/local/cuda-12.4/lib64/libcudart.so.12": b"1",
            "usr/local/cuda-12.4/lib64/libcudart.so.12.4.127": b"1",
            "usr/lib/x86_64-linux-gnu/libcudnn.so.8": b"1",
            "usr/local/cuda-12.4/compat/libcuda.so.1": b"1",
        },
        env=("CUDA_VERSION=12.4.1", "NVIDIA_REQUIRE_CUDA=cuda>=12.4"),
    )
    assert read.stack.base == (12, 4, 1)
    assert read.stack.forward
    assert [(name, version) for name, version, _path in read.stack.loadable] == [
        ("cudart", (12, 4, 127)),
        ("cudnn", (8,)),
    ]


# Drivers


@pytest.mark.parametrize(
    ("cuda", "driver", "found"),
    [
        ("13.2", "535", [("GPU001", Severity.ERROR)]),
        ("13.2", "575.57.08", [("GPU001", Severity.ERROR)]),
        ("13.2", "580", [("GPU002", Severity.INFO)]),
        ("12.4", "535", [("GPU002", Severity.INFO)]),
        ("12.2", "535", []),
        ("12.2", "535.43.02", [("GPU002", Severity.INFO)]),
        ("12.4", "520", [("GPU001", Severity.ERROR)]),
        ("11.8", "450", [("GPU002", Severity.INFO)]),
        ("11.8", "580", []),
        ("13.9", "580", []),
        ("14.0", "580", []),
    ],
)
def test_drivers_are_held_against_nvidias_table(
    cuda: str, driver: str, found: list[tuple[str, Severity]]
) -> None:
    """A branch alone stands for all its releases; of what no table knows nothing is said."""
    stack = Read(torch("2.0", cuda)).stack
    assert rules(driver_findings(stack, drivers.parse_version(driver))) == found


def test_a_driver_too_old_says_what_to_install() -> None:
    finding = only(driver_findings(Read(torch("2.15.0", "13.2")).stack, (535,)))
    assert finding.what == (
        "torch 2.15.0 is built for CUDA 13.2, which needs driver 580.65.06 or newer; "
        "declared is 535"
    )
    assert finding.mend.startswith("pip install torch --index-url https://download.pytorch.org/")
    assert list(driver_findings(Read(torch()).stack, ())) == [], "nothing is declared"


def test_forward_compatibility_makes_it_a_warning() -> None:
    files = torch("2.15.0", "13.2") | {"usr/local/cuda/compat/libcuda.so.1": b"1"}
    finding = only(driver_findings(Read(files).stack, (535,)))
    assert (finding.rule, finding.severity) == ("GPU001", Severity.WARNING)


@pytest.mark.parametrize(
    ("required", "driver", "found"),
    [
        ("cuda>=12.4", "535", [Severity.ERROR]),
        ("cuda>=12.4", "550", []),
        ("cuda>=12.4", "999", []),
        ("cuda>=13.9", "999", []),
        ("cuda>=13.9", "590", [Severity.ERROR]),
        ("cuda>=12.4 brand=tesla,driver>=535,driver<536", "535", [Severity.WARNING]),
        ("cuda>=12.4 brand=tesla,driver>=470,driver<471", "535", [Severity.ERROR]),
        ("cuda>=12.4 driver>=535", "535", []),
        ("", "535", []),
        ("nonsense", "535", [Severity.WARNING]),
    ],
)
def test_what_the_base_requires_is_held_against_the_driver(
    required: str, driver: str, found: list[Severity]
) -> None:
    stack = Read({"a": b"1"}, env=(f"NVIDIA_REQUIRE_CUDA={required}",)).stack
    made = list(driver_findings(stack, drivers.parse_version(driver)))
    assert rules(made) == [("GPU003", severity) for severity in found]


# Agreement


def test_several_major_versions_are_told_with_their_bytes() -> None:
    read = Read(
        {
            **torch("2.6.0+cu124"),
            **distribution("nvidia_cublas_cu11", "11.1", {"nvidia/old": some(9000, "o")}),
        }
    )
    finding = only(agreement_findings(read.stack, read.sizes, 0))
    assert (finding.rule, finding.severity) == ("GPU004", Severity.WARNING)
    assert finding.cost_bytes is not None
    assert 9000 <= finding.cost_bytes < 9200
    assert "CUDA 11: nvidia-cublas-cu11 11.1" in finding.why
    same = Read(torch("2.6.0+cu124") | distribution("nvidia_cublas_cu12", "12", {"n": b"1"}))
    assert list(agreement_findings(same.stack, same.sizes, 0)) == []


def test_the_base_and_frameworks_are_made_for_one_major_version() -> None:
    """With another one nothing can be compiled for torch, and it is there for nothing."""
    base = ("CUDA_VERSION=11.8.0",)
    finding = only(
        agreement_findings((read := Read(torch("2.4.1+cu121"), base)).stack, read.sizes, 700)
    )
    assert (finding.rule, finding.severity, finding.cost_bytes) == ("GPU004", Severity.WARNING, 700)
    assert finding.why.startswith("CUDA 11: the base; CUDA 12: torch 2.4.1+cu121; torch compiles")
    for files in (torch("2.4.1+cu118"), torch("2.4.1+cpu", "None"), {}):
        same = Read(files, base)
        assert list(agreement_findings(same.stack, same.sizes, 700)) == []


@pytest.mark.parametrize(
    ("has", "wanted", "found"),
    [
        ("9.1.0.70", True, []),
        ("9.5.0", True, [("GPU006", Severity.WARNING)]),
        ("8.9.7.29", True, [("GPU006", Severity.ERROR)]),
        ("8.9.7.29", False, [("GPU006", Severity.WARNING)]),
    ],
)
def test_what_a_framework_pins_is_held_against_what_is_there(
    has: str, wanted: bool, found: list[tuple[str, Severity]]
) -> None:
    """What only an extra would bring, and what is not there at all, are others' to tell."""
    needs = (
        'Requires-Dist: nvidia-cudnn-cu12 (==9.1.0.70) ; platform_system == "Linux"\n'
        "Requires-Dist: nvidia-nccl-cu12==2.20.5\n"
        "Requires-Dist: nvidia-cublas-cu12==1 ; extra == 'all'\n"
    )
    files = torch("2.4.1+cu121") | distribution("nvidia_cudnn_cu12", has, {"nvidia/c": b"1"})
    files |= distribution("nvidia_cublas_cu12", "12.1", {"nvidia/b": b"1"})
    files[f"{SITE}/torch-2.4.1+cu121.dist-info/METADATA"] = needs.encode()
    read = Read(files)
    assert rules(pin_findings(read.stack, read.texts, wanted=wanted)) == found


def test_a_cudnn_that_tensorflow_cannot_load_is_an_error() -> None:
    path = "tensorflow/python/platform/build_info.py"
    files = distribution("tensorflow", "2.18.0", {path: TENSORFLOW.encode()})
    old = Read(files | {"usr/lib/x86_64-linux-gnu/libcudnn.so.8": b"1"})
    cudnn = tensorflow_cudnn(old.texts)
    assert cudnn == (9,)
    found = [("GPU006", Severity.ERROR)]
    assert rules(cudnn_findings(old.stack, cudnn, wanted=True)) == found
    found = [("GPU006", Severity.WARNING)]
    assert rules(cudnn_findings(old.stack, cudnn, wanted=False)) == found
    right = Read(files | {"usr/lib/x86_64-linux-gnu/libcudnn.so.9": b"1"})
    assert rules(cudnn_findings(right.stack, cudnn, wanted=True)) == []
    none = Read(files)
    assert rules(cudnn_findings(none.stack, cudnn, wanted=True)) == []


def test_a_cuda_build_for_cpus_is_told_with_its_bytes_and_the_mend() -> None:
    code = library((CUBIN, 80))
    read = Read(
        {
            **torch("2.15.0", "13.2", code),
            **distribution("nvidia_cudnn_cu13", "9", {"nvidia/c": some(7000, "c")}),
            **distribution("triton", "3.9", {"triton/t": some(2000, "t")}),
            **distribution("xgboost", "3", {"xgboost/lib/x.so": library((CUBIN, 90))}),
        }
    )
    torch_finding, xgboost_finding = cpu_findings(read.stack, read.sizes)
    assert torch_finding.severity is Severity.WARNING
    assert torch_finding.cost_bytes is not None
    assert 0 <= torch_finding.cost_bytes - len(code) - 9000 < 300, "and their lists"
    assert "--index-url https://download.pytorch.org/whl/cpu" in torch_finding.mend
    assert 'torch = [{ index = "pytorch-cpu" }]' in torch_finding.mend
    assert xgboost_finding.mend.startswith("install xgboost-cpu instead")


def test_a_cuda_build_on_one_platform_only_is_told_on_both() -> None:
    here, there = Read(torch("2.10.0", "12.8")), Read(torch("2.10.0", "None"))
    for stack, other in ((here, there), (there, here)):
        finding = only(
            platform_findings("linux/arm64", stack.stack, "linux/amd64", other.stack, stack.sizes)
        )
        assert (finding.rule, finding.severity) == ("GPU008", Severity.WARNING)
        assert ("on linux/arm64, and no" in finding.what) is (stack is here)
    assert rules(platform_findings("a", here.stack, "b", here.stack, here.sizes)) == []


# Capabilities


@pytest.mark.parametrize(
    ("capability", "targets", "how"),
    [
        ((8, 0), ("sm_80",), Coverage.BINARY),
        ((8, 6), ("sm_80",), Coverage.BINARY),
        ((8, 0), ("sm_86",), Coverage.NONE),
        ((9, 0), ("sm_80", "sm_86"), Coverage.NONE),
        ((9, 0), ("sm_80", "compute_80"), Coverage.PTX),
        ((7, 5), ("compute_80",), Coverage.NONE),
        ((12, 0), ("sm_90", "sm_120"), Coverage.BINARY),
        ((12, 1), ("sm_120",), Coverage.BINARY),
        ((10, 0), ("sm_120", "compute_90"), Coverage.PTX),
        ((9, 0), ("sm_90a",), Coverage.BINARY),
        ((12, 1), ("sm_120a", "compute_90a"), Coverage.NONE),
    ],
)
def test_code_runs_within_a_major_version_and_ptx_on_all_later_ones(
    capability: tuple[int, int], targets: tuple[str, ...], how: Coverage
) -> None:
    assert coverage(capability, targets) is how


def test_capabilities_without_code_are_errors_of_frameworks() -> None:
    read = Read(
        {
            **torch("2.0", "12.4", library((CUBIN, 80), (PTX, 80))),
            **distribution("other", "1", {"other/o.so": library((CUBIN, 80))}),
            "app/own.so": library((CUBIN, 75)),
        }
    )
    assert rules(capability_findings(read.stack, ((7, 5),))) == [
        ("GPU009", Severity.ERROR),
        ("GPU009", Severity.WARNING),
    ]
    found = {each.place: each for each in capability_findings(read.stack, ((9, 0),))}
    assert found["/app/own.so"].severity is Severity.ERROR
    assert found[f"/{SITE}/other/o.so"].severity is Severity.WARNING
    assert found[f"/{SITE}/torch/lib/a.so"].rule == "GPU010"
    assert "sm_80, compute_80" in found[f"/{SITE}/torch/lib/a.so"].why.replace(
        "compute_80, sm_80", "sm_80, compute_80"
    )
    assert only(capability_findings(read.stack, ((8, 6),))).place == "/app/own.so"


def test_versions_are_shown_as_nvidia_writes_them() -> None:
    assert drivers.shown((450, 80, 2)) == "450.80.02"
    assert drivers.shown((535,)) == "535"
    assert drivers.dotted((12, 4)) == "12.4"
    assert drivers.newest_cuda((535,)) == (12, 2)
    assert drivers.newest_cuda((300,)) is None
