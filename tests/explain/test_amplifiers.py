"""What made a difference in the last bits a large one: said where it shows, and only there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.explain.amplifiers import amplifiers
from pytest_mlcontainer.model import Difference, Element, SearchFinding, Verdict

COEF = Difference(
    "outputs/model.npz", "coef", Verdict.DRIFT, max_abs=0.012, max_rel=0.3, max_ulp=10**13,
    scale_error=0.004, differing=88, beyond=12, size=128, rule="rtol 1e-07 (float64 default)",
)  # fmt: skip
LABELS = Difference(
    "outputs/pred.npz", "label", Verdict.DRIFT, max_abs=1.0, max_rel=1.0, scale_error=0.5,
    worst_actual="1", worst_expected="2", differing=3, beyond=3, size=400,
    elements=(Element((4,), "1", "2", 1.0), Element((9,), "0", "1", 1.0)),
)  # fmt: skip
SCORES = Difference(
    "outputs/pred.npz", "proba", Verdict.EQUIVALENT, max_abs=3e-8, max_rel=1e-7, max_ulp=9,
    scale_error=3e-8, differing=390, size=400,
)  # fmt: skip
ORDER = Difference(
    "outputs/top.npz", "rank", Verdict.DRIFT, max_abs=311.0, max_rel=9.0, scale_error=0.7,
    worst_actual="312", worst_expected="1", differing=40, beyond=40, size=50,
)  # fmt: skip
SWAPPED = replace(
    ORDER, differing=2, elements=(Element((3,), "7", "8", 1.0), Element((4,), "8", "7", 1.0))
)
UNSTABLE = ("train.py", "import numpy as np\n\norder = np.argsort(-scores)\n")


def texts(found: tuple[SearchFinding, ...]) -> list[str]:
    return [each.text for each in found]


@pytest.mark.parametrize(
    ("printed", "quoted"),
    [
        (
            "/usr/lib/python3/site-packages/sklearn/linear_model/_logistic.py:465: "
            "ConvergenceWarning: lbfgs failed to converge after 100 iteration(s) (status=1):\n"
            "STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT\n\n  n_iter_i = _check(\n",
            "ConvergenceWarning: lbfgs failed to converge after 100 iteration(s) (status=1)",
        ),
        (
            "a.py:1: ConvergenceWarning: Liblinear failed to converge, increase the number of "
            "iterations.\n",
            "ConvergenceWarning: Liblinear failed to converge, increase the number of iterations.",
        ),
        (
            "ConvergenceWarning: Stochastic Optimizer: Maximum iterations (200) reached and the "
            "optimization hasn't converged yet.",
            "ConvergenceWarning: Stochastic Optimizer: Maximum iterations (200) reached and the "
            "optimization hasn't converged yet.",
        ),
        (
            "ConvergenceWarning: Maximum Likelihood optimization failed to converge. Check "
            "mle_retvals",
            "ConvergenceWarning: Maximum Likelihood optimization failed to converge. Check "
            "mle_retvals",
        ),
        (
            "Warning: Maximum number of iterations has been exceeded.\n  Current function value: 1",
            "Warning: Maximum number of iterations has been exceeded.",
        ),
        (
            "  message: STOP: TOTAL NO. of ITERATIONS REACHED LIMIT\n",
            "message: STOP: TOTAL NO. of ITERATIONS REACHED LIMIT",
        ),
        (
            "The max_iter was reached which means the coef_ did not converge",
            "The max_iter was reached which means the coef_ did not converge",
        ),
    ],
)
def test_a_solver_that_says_so_is_unconverged(printed: str, quoted: str) -> None:
    """In the words of the libraries, without the path that Python puts before a warning."""
    (found,) = amplifiers(["", f"epoch 1\n{printed}"], [COEF])
    assert (
        found.text
        == f"an unconverged solver ({quoted[:119] + '…' if len(quoted) > 120 else quoted})"
    )
    assert "max_iter" in found.advice
    assert found.kind == "amplifier"


@pytest.mark.parametrize(
    "printed",
    [
        "ConvergenceWarning: Number of distinct clusters (3) found smaller than n_clusters (4).",
        "ConvergenceWarning: Retrying MixedLM optimization with lbfgs",
        "ConvergenceWarning: The optimal value found for dimension 0 of parameter k is close to",
        "converged after 12 iterations",
        "maximum iterations: 100\nlimit reached: none",
        "epoch 3: loss 0.2, not converged",
    ],
)
def test_what_is_no_unconverged_solver_is_not_called_one(printed: str) -> None:
    """Warnings of the same class for other reasons, and progress that a program prints."""
    assert amplifiers([printed, printed], [COEF]) == ()


def test_a_warning_amplifies_nothing_where_all_agrees() -> None:
    """Nothing is large, so nothing made it large."""
    assert amplifiers(["did not converge"], [SCORES]) == ()


def test_another_number_of_steps_is_read_off_an_output() -> None:
    """A whole number that is called so."""
    steps = Difference(
        "outputs/model.json", "n_iter_", Verdict.DRIFT, max_abs=4.0, max_rel=0.1, scale_error=0.1,
        worst_actual="41", worst_expected="37", differing=1, beyond=1, size=1,
    )  # fmt: skip
    assert texts(amplifiers([], [COEF, steps])) == [
        "training ended after another number of steps (37 → 41, outputs/model.json:n_iter_)"
    ]


def test_another_best_iteration_is_read_off_what_was_printed() -> None:
    """As boosting libraries print it; the same one on both sides is none."""
    said = "[LightGBM] [Info] Early stopping, best iteration is:\n[{}]\tvalid_0's l2: 0.3\n"
    found = amplifiers([said.format(57), said.format(61)], [COEF])
    assert texts(found) == [
        "training ended after another number of steps (best iteration 57 and 61)"
    ]
    assert amplifiers([said.format(57), said.format(57)], [COEF]) == ()


def test_an_ill_conditioned_matrix_is_said() -> None:
    """As SciPy and NumPy warn of it."""
    (found,) = amplifiers(
        ["x.py:3: LinAlgWarning: Ill-conditioned matrix (rcond=1e-20): may not be accurate."],
        [COEF],
    )
    assert found.text.startswith("an ill-conditioned problem (LinAlgWarning: Ill-conditioned")


def test_a_flip_beside_scores_that_hardly_moved_is_likely_a_threshold() -> None:
    """Both are named, with how many and how far."""
    assert texts(amplifiers([], [LABELS, SCORES])) == [
        "a threshold is likely: 3 of 400 labels of outputs/pred.npz:label flip while "
        "outputs/pred.npz:proba moves by at most 3e-08"
    ]


@pytest.mark.parametrize(
    "differences",
    [
        [LABELS],
        [LABELS, replace(SCORES, max_abs=0.2, scale_error=0.2)],
        [replace(LABELS, differing=200, beyond=200), SCORES],
    ],
)
def test_a_flip_is_no_threshold_without_that(differences: list[Difference]) -> None:
    """No scores, scores that moved as well, or half of the labels."""
    assert amplifiers([], differences) == ()


def test_counts_that_are_off_by_one_are_likely_rounded() -> None:
    """Whole numbers that are no labels, and more than yes and no."""
    counts = replace(LABELS, output="outputs/c.npz", item="rentals")
    assert texts(amplifiers([], [counts])) == [
        "rounding to whole numbers is likely: 3 of 400 in outputs/c.npz:rentals are off by one"
    ]


@pytest.mark.parametrize("moved", [ORDER, SWAPPED])
def test_places_that_jump_under_an_unstable_sort_are_likely_a_tie(moved: Difference) -> None:
    """With the line of the sort, and how to make it stable."""
    (found,) = amplifiers([], [moved, SCORES], [UNSTABLE])
    assert found.text.startswith("a tie is likely: in outputs/top.npz:rank ")
    assert found.text.endswith(
        "argsort in train.py, line 3, leaves the order of equal elements open"
    )
    assert "stable" in found.advice


@pytest.mark.parametrize(
    "source",
    [
        'np.argsort(np.abs(x), kind="stable")',
        "torch.argsort(x, stable=True)",
        'df.sort_values(["a"],\n   kind="stable")',
        "# argsort(x)",
        "def topk(self, k):",
        "sorted(x)",
    ],
)
def test_a_stable_sort_leaves_no_tie_open(source: str) -> None:
    """Nor does a comment, or a function that is only called so."""
    assert amplifiers([], [ORDER], [("train.py", source)]) == ()


def test_numbers_that_moved_explain_another_order_without_a_tie() -> None:
    """Keys that differ by more than bits sort otherwise however stable the sort is."""
    assert amplifiers([], [ORDER, replace(COEF, verdict=Verdict.EQUIVALENT)], [UNSTABLE]) == ()


@pytest.mark.parametrize(("causes", "count"), [(("hash-seed",), 0), (("hash-seed", "simd"), 1)])
def test_nothing_is_inferred_from_rounding_where_the_cause_does_not_round(
    causes: tuple[str, ...], count: int
) -> None:
    """Another hash seed reorders without any tie."""
    assert len(amplifiers([], [ORDER], [UNSTABLE], causes)) == count


def test_values_near_zero_are_likely_what_cancelled() -> None:
    """Off by half of themselves, and by nothing of what they were made of."""
    small = replace(COEF, max_abs=1e-8, max_rel=0.5, scale_error=1e-8)
    assert texts(amplifiers([], [small])) == [
        "sums that nearly cancel are likely: values of outputs/model.npz:coef are off by up to 0.5 "
        "of themselves, but by 1e-08 of the array's largest value"
    ]


def test_errors_that_grow_along_an_array_are_carried_on() -> None:
    """The worst of it stand at its end, far above the usual error."""
    history = replace(
        COEF, output="outputs/history.npz", item="loss", size=100,
        quantiles=((0.5, 1e-6),),
        elements=tuple(Element((at,), "1", "2", 10.0 ** (at - 102)) for at in (97, 98, 99)),
    )  # fmt: skip
    expected = (
        "small differences are carried on from step to step: the error of "
        "outputs/history.npz:loss grows to 0.001 at [99]"
    )
    assert texts(amplifiers([], [history])) == [expected]
    early = tuple(Element((at,), "1", "2", 0.1) for at in (7, 98, 99))
    assert amplifiers([], [replace(history, elements=early)]) == ()


def test_errors_that_grow_along_numbers_of_steps_are_carried_on() -> None:
    """One number for each step, as JSON has them; errors that stay the same are none."""
    steps = [
        replace(COEF, output="h.json", item=f"history[{at}].loss", size=1, max_abs=1e-8 * 4.0**at)
        for at in range(10)
    ]
    (found,) = amplifiers([], steps)
    assert "the error of h.json:history[…].loss grows from 4e-08 at first to 0.0007" in found.text
    assert amplifiers([], [replace(each, max_abs=1e-3) for each in steps]) == ()


def test_half_precision_is_read_off_the_type_or_is_likely() -> None:
    """Certain for an array of that type; of a program that mentions it only likely."""
    half = replace(COEF, rule="rtol 0.001 or 0.002 of scale (float16 default)")
    assert texts(amplifiers([], [half])) == [
        "half precision: outputs/model.npz:coef is float16, in which a step is 0.1% of a value"
    ]
    source = [("net.py", "x = 1\nwith torch.autocast(device):\n")]
    assert texts(amplifiers([], [COEF], source)) == [
        "half precision is likely: net.py, line 2, mentions autocast"
    ]
    assert amplifiers([], [replace(COEF, max_rel=1e-3, scale_error=1e-6)], source) == ()


@given(st.text(max_size=300), st.text(max_size=40), st.text(max_size=300))
def test_any_text_and_name_can_be_looked_at(said: str, name: str, source: str) -> None:
    """Whatever a container printed, nothing long comes of it."""
    every = [replace(each, output=name, item=name) for each in (COEF, LABELS, SCORES, ORDER)]
    for found in amplifiers([said, f"did not converge {said}"], every, [(name, source)]):
        assert len(found.text) < 700


def test_much_text_is_looked_at_from_both_ends() -> None:
    """A warning is at the beginning or the end of a long log; what is between is not read."""
    noise = "step\n" * 400_000
    for text in (f"did not converge\n{noise}", f"{noise}did not converge\n"):
        assert texts(amplifiers([text], [COEF])) == ["an unconverged solver (did not converge)"]
