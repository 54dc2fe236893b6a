"""What real arithmetic gives: run with one setting of a machine, this writes its results.

`python computations.py FILE [FAMILY ...]` writes an npz of all results, `family.name.dtype.size` →
array. Run under another thread count, BLAS kernel, instruction set or architecture, it computes the
same from bitwise the same inputs, so all that differs is noise. Needs NumPy, SciPy, scikit-learn
and ml_dtypes; runs in an image, so it imports nothing of this project.
"""

from __future__ import annotations

import sys
import warnings
import zlib
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

RESULTS: dict[str, np.ndarray] = {}
FAMILIES: dict[str, Callable[[], None]] = {}
Scalar = Any  # a type of NumPy or ml_dtypes, which makes scalars too
F16: Scalar = np.float16
F32: Scalar = np.float32
F64: Scalar = np.float64
BF16: Scalar = ml_dtypes.bfloat16


def family(function: Callable[[], None]) -> Callable[[], None]:
    FAMILIES[function.__name__] = function
    return function


def draw(name: str, *shape: int, dtype: Scalar = F64) -> np.ndarray:
    """Nearly normal values with all their bits, the same on every machine.

    A sum of four uniform numbers takes only additions, which IEEE 754 defines to the last bit;
    normal ones take a logarithm. Fewer bits would make products exact, and hide their noise.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    first, second, third, fourth = (rng.random(shape) for _ in range(4))
    return ((first + second + (third + fourth) - 2) * 1.75).astype(dtype)


def units(count: int, decades: int = 5) -> np.ndarray:
    """Factors of columns in other units, 1e-5 to 1e5, in no order."""
    powers = np.random.default_rng(count).permutation(np.linspace(-decades, decades, count))
    return 10.0 ** np.round(powers)


def put(name: str, value: Any, dtype: Scalar = None) -> None:
    array = np.asarray(value)
    if dtype is not None:
        array = array.astype(dtype)
    RESULTS[f"{name}.{array.dtype.name}.{array.size}"] = array


def half(value: Any, dtype: Scalar) -> np.ndarray:
    """Rounded to a half type after a product in float32, as libraries do it."""
    return np.asarray(value, F32).astype(dtype)


@family
def products() -> None:
    for dtype in (F32, F64):
        for n, k, m in ((1, 300, 1), (4, 64, 4), (64, 64, 64), (100, 1000, 30), (500, 512, 400)):
            a, b = draw(f"a{n}", n, k, dtype=dtype), draw(f"b{m}", k, m, dtype=dtype)
            put("products.plain", a @ b)
            put("products.columns", a @ (b * units(m)).astype(dtype))
            put("products.rows", (a * units(n)[:, None]).astype(dtype) @ b)
            put(
                "products.both",
                (a * units(n)[:, None]).astype(dtype) @ (b * units(m)).astype(dtype),
            )
            put("products.inner", (a * units(k, 3)).astype(dtype) @ b)
            put("products.positive", np.abs(a) @ np.abs(b))
            put("products.gram", a @ a.T)
            put("products.vector", a @ b[:, 0])
        x = draw("batch", 8, 40, 60, dtype=dtype)
        put("products.batched", x @ x.transpose(0, 2, 1))
        scaled = (x * units(8)[:, None, None]).astype(dtype)
        put("products.batched-units", scaled @ draw("w", 60, 20, dtype=dtype))
        put("products.long", draw("l", 3, 60000, dtype=dtype) @ draw("r", 60000, 3, dtype=dtype))
        put(
            "products.kron",
            np.einsum("ij,jk,kl->il", *(draw(f"e{i}", 50, 50, dtype=dtype) for i in range(3))),
        )
        put("products.chain", np.linalg.matrix_power(draw("p", 40, 40, dtype=dtype) / dtype(7), 8))
    for dtype in (F16, BF16):
        for n, k, m in ((4, 64, 4), (64, 256, 64), (300, 512, 100)):
            a, b = (
                draw(f"{n}{i}", *s).astype(dtype).astype(F32)
                for i, s in enumerate(((n, k), (k, m)))
            )
            put("products.half", half(a @ b, dtype))


@family
def convolutions() -> None:
    from scipy import ndimage, signal

    for dtype in (F32, F64):
        x, kernel = draw("signal", 5000, dtype=dtype), draw("kernel", 65, dtype=dtype)
        put("convolutions.direct", np.convolve(x, kernel))
        put("convolutions.fft", signal.fftconvolve(x + dtype(50), kernel))
        put("convolutions.correlate", signal.correlate(x, x[:500], mode="valid"))
        image = draw("image", 1, 3, 34, 34, dtype=dtype)
        windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(2, 3))
        columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(32 * 32, 27)
        filters = draw("filters", 27, 16, dtype=dtype)
        put("convolutions.im2col", (np.ascontiguousarray(columns) @ filters).T.reshape(16, 32, 32))
        put("convolutions.gaussian", ndimage.gaussian_filter(image[0, 0] + dtype(100), 2))
        put(
            "convolutions.gradient",
            ndimage.sobel(ndimage.gaussian_filter(image[0, 0] + dtype(100), 3)),
        )


@family
def transforms() -> None:
    from scipy import fft as sfft
    from scipy import signal

    for dtype in (F32, F64):
        for n in (16, 1000, 4096, 65536):
            x = draw(f"fft{n}", n, dtype=dtype)
            put("transforms.fft", sfft.fft(x))
            put("transforms.mean", sfft.rfft(x + dtype(1000)))
            put("transforms.magnitude", np.abs(sfft.rfft(x + dtype(1000))))
            put("transforms.back", sfft.irfft(sfft.rfft(x + dtype(1000)), n))
            put("transforms.dct", sfft.dct(x + dtype(100)))
        grid = draw("grid", 64, 64, dtype=dtype)
        put("transforms.two", sfft.fft2(grid + dtype(10)))
        tone = np.sin(np.arange(4096) * 0.25).astype(dtype)
        put("transforms.tone", np.abs(sfft.rfft(tone)))
        put("transforms.power", np.abs(sfft.rfft(tone)) ** 2)
        put("transforms.spectrogram", signal.spectrogram(tone + x[:4096] / dtype(100))[2])
        put("transforms.autocorrelation", sfft.irfft(np.abs(sfft.rfft(x)) ** 2))
        put("transforms.numpy", np.fft.rfft(x.astype(F64) + 7).astype(np.complex128))


@family
def solvers() -> None:
    from scipy import linalg, sparse
    from scipy.sparse.linalg import cg, spsolve

    for dtype in (F32, F64):
        for n in (2, 10, 60, 300):
            a = draw(f"solve{n}", n, n, dtype=dtype) + dtype(n**0.5) * np.eye(n, dtype=dtype)
            b = draw(f"rhs{n}", n, 3, dtype=dtype)
            spd = a @ a.T + np.eye(n, dtype=dtype)
            put("solvers.solve", np.linalg.solve(a, b))
            put("solvers.units", np.linalg.solve(a, (b * np.array([1e-4, 1, 1e4])).astype(dtype)))
            put("solvers.inverse", np.linalg.inv(spd))
            put("solvers.cholesky", np.linalg.cholesky(spd))
            put("solvers.qr", np.abs(np.linalg.qr(a)[1]))
            put("solvers.lu", linalg.lu(a)[2])
            put("solvers.determinant", np.linalg.slogdet(spd)[1])
            put("solvers.singular", np.linalg.svd(a, compute_uv=False))
            put("solvers.eigenvalues", np.linalg.eigvalsh(spd))
            put("solvers.expm", linalg.expm(a / dtype(n)))
        x = draw("ls", 400, 12, dtype=dtype)
        y = x @ draw("beta", 12, dtype=dtype) + draw("e", 400, dtype=dtype)
        put("solvers.least-squares", np.linalg.lstsq(x, y, rcond=None)[0])
        scaled = (x * units(12, 3)).astype(dtype)
        put("solvers.least-squares-units", np.linalg.lstsq(scaled, y, rcond=None)[0])
        put("solvers.pinv", np.linalg.pinv(x))
        put("solvers.normal", np.linalg.solve(x.T @ x, x.T @ y))
        u, s, v = np.linalg.svd(x, full_matrices=False)
        put("solvers.low-rank", (u[:, :6] * s[:6]) @ v[:6])
        beta = np.linalg.lstsq(x, x @ np.arange(12, dtype=dtype), rcond=None)[0]
        put("residuals.exact-fit", x @ np.arange(12, dtype=dtype) - x @ beta)
        put("residuals.orthogonality", x.T @ (y - x @ np.linalg.lstsq(x, y, rcond=None)[0]))
        q = np.linalg.qr(x)[0]
        put("residuals.identity", q.T @ q - np.eye(12, dtype=dtype))
    n = 400
    lap = sparse.diags([-1.0, 2.01, -1.0], [-1, 0, 1], shape=(n, n), format="csc")
    put("solvers.sparse", spsolve(lap, draw("sp", n)))
    put("solvers.cg", cg(lap, draw("sp", n), rtol=1e-12)[0])
    vandermonde = np.vander(np.linspace(0, 1, 40), 8)
    put(
        "solvers.polynomial",
        np.linalg.lstsq(vandermonde, np.linspace(1, 2, 40) ** 3, rcond=None)[0],
    )


@family
def reductions() -> None:
    from scipy.special import logsumexp

    for dtype in (F32, F64):
        for shape in ((7,), (100, 10), (1000, 1000), (10, 20, 30)):
            x = draw(f"red{shape}", *shape, dtype=dtype)
            for name, function in (
                ("sum", np.sum),
                ("mean", np.mean),
                ("std", np.std),
                ("var", np.var),
            ):
                put(f"reductions.{name}", function(x, axis=0))
            put("reductions.total", x.sum())
            put("reductions.norm", np.linalg.norm(x.reshape(len(x), -1), axis=1))
            put("reductions.logsumexp", logsumexp(x, axis=-1))
            put("reductions.columns", (x * units(x.shape[-1])).astype(dtype).sum(axis=0))
            put("reductions.cosine", (x.reshape(len(x), -1) @ x.reshape(len(x), -1)[0]))
        long = draw("long", 1_000_000, dtype=dtype)
        put("reductions.cumsum", np.cumsum(long))
        put("reductions.cumsum-dot", np.add.accumulate(long.reshape(1000, 1000) @ long[:1000]))
        put(
            "reductions.running",
            np.convolve(long[:20_000] + dtype(10), np.full(50, dtype(0.02)), "valid"),
        )
        put("reductions.dot", np.dot(long, long[::-1].copy()))
        put("reductions.centred", (long - long.mean())[:5000])
        put("reductions.moments", [((long - long.mean()) ** k).mean() for k in (2, 3, 4)], dtype)
        put("reductions.percentile", np.quantile(long, [0.1, 0.5, 0.9]), dtype)
    for dtype in (F16, BF16):
        x = draw("hr", 500, 300).astype(dtype).astype(F32)
        put("reductions.half", half(x.sum(axis=1), dtype))
        put("reductions.half-mean", half(x.mean(axis=0), dtype))


def softmax(x: np.ndarray) -> np.ndarray:
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def normalised(x: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    spread = np.sqrt(x.var(axis=-1, keepdims=True) + x.dtype.type(eps))
    return np.asarray((x - x.mean(axis=-1, keepdims=True)) / spread)


def gelu(x: np.ndarray) -> np.ndarray:
    inner = x.dtype.type(0.79788456) * (x + x.dtype.type(0.044715) * x**3)
    return np.asarray(x * (1 + np.tanh(inner)) / 2)


@family
def elementwise() -> None:
    for dtype in (F32, F64):
        x = draw("el", 20000, dtype=dtype)
        for function in (np.exp, np.tanh, np.sin, np.cos, np.expm1, np.arctan, np.sinh):
            put(f"elementwise.{function.__name__}", function(x))
        put("elementwise.log", np.log(np.abs(x) + dtype(1e-3)))
        put("elementwise.log-near-1", np.log(1 + x / dtype(1000)))
        put("elementwise.power", np.abs(x) ** dtype(2.7))
        put("elementwise.far-sine", np.sin(x * dtype(1000)))
        put("elementwise.sigmoid", 1 / (1 + np.exp(-x * dtype(8))))
        put("elementwise.gelu", gelu(x))
        put("elementwise.log1p", np.log1p(np.exp(-np.abs(x * 5))))


@family
def networks() -> None:
    for dtype in (F32, F64, F16, BF16):
        work = F32 if dtype in (F16, BF16) else dtype
        x = draw("nx", 128, 64).astype(dtype).astype(work)
        for act, name in ((lambda v: np.maximum(v, 0), "relu"), (np.tanh, "tanh"), (gelu, "gelu")):
            h = x
            for layer in range(6):
                w = draw(f"w{layer}", 64, 64).astype(work) / work(6)
                h = act(h @ w).astype(dtype).astype(work)
            out = h @ draw("head", 64, 10).astype(work) / work(8)
            put(f"networks.{name}-hidden", h.astype(dtype))
            put(f"networks.{name}-logits", out.astype(dtype))
            put(f"networks.{name}-probabilities", softmax(out).astype(dtype))
            put(f"networks.{name}-log-probabilities", np.log(softmax(out * work(4))).astype(dtype))
            put(f"networks.{name}-one", out[:1, :1].astype(dtype))
            put(f"networks.{name}-loss", -np.log(softmax(out)[:, 0]).mean().astype(dtype))
        put(
            "networks.wide-softmax",
            softmax(x @ draw("wide", 64, 500).astype(work) * work(2)).astype(dtype),
        )
        put("networks.layer-norm", normalised(h @ draw("ln", 64, 64).astype(work)).astype(dtype))
        t = draw("tokens", 4, 32, 64).astype(dtype).astype(work)
        for block in range(3):
            q, k, v, o = (draw(f"{c}{block}", 64, 64).astype(work) / work(8) for c in "qkvo")
            heads = [
                (normalised(t) @ m).reshape(4, 32, 4, 16).transpose(0, 2, 1, 3) for m in (q, k, v)
            ]
            weights = softmax(heads[0] @ heads[1].transpose(0, 1, 3, 2) / work(4))
            mixed = (weights @ heads[2]).transpose(0, 2, 1, 3).reshape(4, 32, 64) @ o
            t = (t + mixed).astype(dtype).astype(work)
            up = gelu(normalised(t) @ draw(f"up{block}", 64, 128).astype(work) / work(8))
            t = (
                (t + up @ draw(f"down{block}", 128, 64).astype(work) / work(8))
                .astype(dtype)
                .astype(work)
            )
        put("networks.attention", weights.astype(dtype))
        put("networks.transformer", t.astype(dtype))
        massive = t.copy()
        massive[..., 7] *= work(400)
        put(
            "networks.massive",
            (massive @ (np.eye(64) + draw("mm", 64, 64) / 64).astype(work)).astype(dtype),
        )
        put("networks.pooled", normalised(t.mean(axis=1)).astype(dtype))
        put(
            "networks.embedding",
            (t[:, 0] / np.linalg.norm(t[:, 0], axis=-1, keepdims=True)).astype(dtype),
        )


@family
def recurrences() -> None:
    from scipy.integrate import solve_ivp

    for dtype in (F32, F64):
        w, u = draw("rw", 32, 32, dtype=dtype) / dtype(8), draw("ru", 8, 32, dtype=dtype)
        h, states = np.zeros((16, 32), dtype), []
        for step in range(100):
            h = np.tanh(h @ w + draw(f"rx{step}", 16, 8, dtype=dtype) @ u / dtype(3))
            states.append(h)
        put("recurrences.rnn", np.stack(states, axis=1))
        p = np.abs(draw("markov", 50, 50, dtype=dtype))
        p /= p.sum(axis=1, keepdims=True)
        put("recurrences.stationary", np.linalg.matrix_power(p, 64)[0])
        state, cov, out = np.zeros(4, dtype), np.eye(4, dtype=dtype), []
        f = np.eye(4, dtype=dtype) + np.eye(4, k=1, dtype=dtype) * dtype(0.1)
        for step in range(60):
            cov = f @ cov @ f.T + dtype(0.01) * np.eye(4, dtype=dtype)
            gain = cov[:, 0] / (cov[0, 0] + dtype(1))
            state = f @ state + gain * (dtype(np.sin(step / 5)) - (f @ state)[0])
            cov = cov - np.outer(gain, cov[0])
            out.append(state)
        put("recurrences.kalman", np.stack(out))
    ode = solve_ivp(
        lambda _t, y: [y[1], -np.sin(y[0])],
        (0, 20),
        [1.0, 0.0],
        rtol=1e-8,
        t_eval=np.linspace(0, 20, 101),
    )
    put("recurrences.pendulum", ode.y)


@family
def statistics_of_tables() -> None:
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    for dtype in (F32, F64):
        for columns in (3, 12, 80):
            x = draw(f"table{columns}", 500, columns, dtype=dtype)
            x = (x + x[:, :1] / 2 + dtype(3)) * units(columns, 4).astype(dtype)
            x = x.astype(dtype)
            put("tables.covariance", np.cov(x.T), dtype)
            put(
                "tables.centred-product",
                ((x - x.mean(axis=0)).T @ (x - x.mean(axis=0))) / dtype(499),
            )
            put("tables.correlation", np.corrcoef(x.T), dtype)
            put("tables.means", x.mean(axis=0))
            put("tables.scaled", StandardScaler().fit_transform(x))
            put("tables.standard", normalised(x.T.copy()).T)
            put("tables.moments", np.stack([x.mean(0), x.std(0), np.abs(x).max(0)]))
            plain = x / units(columns, 4).astype(dtype)
            pca = PCA(2, svd_solver="full").fit(plain)
            put("tables.explained", pca.explained_variance_)
            put("tables.pca", pca.transform(plain))
            put(
                "tables.gram-rbf",
                np.exp(-((plain[:60, None] - plain[None, :60]) ** 2).sum(-1) / columns),
            )
            square = (plain**2).sum(axis=1)
            gram = square[:, None] + square[None] - 2 * plain @ plain.T
            put("tables.distances", np.sqrt(np.maximum(gram[:100, 100:200], 0)))
            put("residuals.squared-distances", gram[:100, :100])
            put("tables.cosine", normalised(plain) @ normalised(plain).T[:, :40] / dtype(columns))
            put(
                "tables.mahalanobis",
                np.sqrt(np.einsum("ij,jk,ik->i", plain, np.linalg.inv(np.cov(plain.T)), plain)),
                dtype,
            )


@family
def models() -> None:
    from sklearn import datasets, ensemble, gaussian_process, linear_model, mixture, neighbors, svm
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.naive_bayes import GaussianNB

    x, y = datasets.load_breast_cancer(return_X_y=True)
    wide, target = datasets.load_diabetes(return_X_y=True)
    scaled = np.round((x - x.mean(0)) / x.std(0), 6)
    for name, model in (
        ("forest", ensemble.RandomForestClassifier(20, random_state=0)),
        ("boosting", ensemble.GradientBoostingClassifier(n_estimators=20, random_state=0)),
        (
            "histogram-boosting",
            ensemble.HistGradientBoostingClassifier(max_iter=20, random_state=0),
        ),
        ("bayes", GaussianNB()),
        ("lda", LinearDiscriminantAnalysis()),
        ("neighbours", neighbors.KNeighborsClassifier(5)),
        ("logistic-converged", linear_model.LogisticRegression(tol=1e-10, max_iter=10000, C=0.1)),
    ):
        put(f"models.{name}", model.fit(scaled, y).predict_proba(scaled))
    for name, model in (
        ("ridge", linear_model.Ridge(0.1)),
        ("linear", linear_model.LinearRegression()),
        ("lasso", linear_model.Lasso(0.05, tol=1e-10, max_iter=100000)),
        ("bayesian-ridge", linear_model.BayesianRidge()),
        ("svr", svm.SVR(C=10.0, tol=1e-8)),
        (
            "process",
            gaussian_process.GaussianProcessRegressor(alpha=0.1, optimizer=None, normalize_y=True),
        ),
        ("forest-regression", ensemble.RandomForestRegressor(10, random_state=0)),
    ):
        model.fit(wide, target)
        put(f"models.{name}", model.predict(wide))
        if hasattr(model, "coef_"):
            put(f"models.{name}-coefficients", model.coef_)
    put(
        "models.mixture",
        mixture.GaussianMixture(2, random_state=0, tol=1e-9, max_iter=500)
        .fit(scaled[:, :5])
        .means_,
    )


@family
def fitted() -> None:
    """Models as people train them: stopped early, by default settings; what they predict, too."""
    from sklearn import datasets, decomposition, linear_model, mixture, neural_network, svm

    x, y = datasets.load_breast_cancer(return_X_y=True)
    x = np.round((x - x.mean(0)) / x.std(0), 6)
    digits, digit = datasets.load_digits(return_X_y=True)
    digits = digits / 16
    iris, kind = datasets.load_iris(return_X_y=True)
    wide, target = datasets.load_diabetes(return_X_y=True)
    for name, model, data, labels in (
        ("logistic", linear_model.LogisticRegression(), x, y),
        ("logistic-strong", linear_model.LogisticRegression(C=0.01), x, y),
        ("logistic-iris", linear_model.LogisticRegression(max_iter=1000), iris, kind),
        ("logistic-digits", linear_model.LogisticRegression(max_iter=50), digits, digit),
        ("logistic-newton", linear_model.LogisticRegression(solver="newton-cg"), digits, digit),
        (
            "logistic-saga",
            linear_model.LogisticRegression(solver="saga", max_iter=30, random_state=0),
            x,
            y,
        ),
        ("sgd", linear_model.SGDClassifier(random_state=0, loss="log_loss"), x, y),
        ("linear-svc", svm.LinearSVC(random_state=0), x, y),
        (
            "perceptron",
            neural_network.MLPClassifier((32,), max_iter=60, random_state=0),
            digits,
            digit,
        ),
        ("svc", svm.SVC(), digits, digit),
    ):
        model.fit(data, labels)
        for part in ("coef_", "intercept_", "dual_coef_"):
            if hasattr(model, part) and not (name == "svc" and part == "coef_"):
                put(f"fitted.{name}.{part}", getattr(model, part))
        for number, part in enumerate(getattr(model, "coefs_", ())):
            put(f"fitted.{name}.coefs_{number}", part)
        score = model.predict_proba if hasattr(model, "predict_proba") else model.decision_function
        put(f"fitted.{name}.scores", score(data))
        put(f"fitted.{name}.predictions", model.predict(data))
    for name, model in (
        ("lasso-path", linear_model.LassoCV(cv=3)),
        ("elastic", linear_model.ElasticNet(0.01)),
        ("huber", linear_model.HuberRegressor(max_iter=200)),
        ("poisson", linear_model.PoissonRegressor()),
        (
            "mlp-regression",
            neural_network.MLPRegressor(hidden_layer_sizes=(16,), max_iter=100, random_state=0),
        ),
    ):
        model.fit(wide, target)
        for part in ("coef_", "intercept_"):
            if hasattr(model, part):
                put(f"fitted.{name}.{part}", getattr(model, part))
        put(f"fitted.{name}.predictions", model.predict(wide))
    put(
        "fitted.nmf.components",
        decomposition.NMF(5, random_state=0, max_iter=50).fit(digits).components_,
    )
    put(
        "fitted.topics.components",
        decomposition.LatentDirichletAllocation(4, random_state=0, max_iter=5)
        .fit(digits)
        .components_,
    )
    gmm = mixture.GaussianMixture(3, random_state=0).fit(iris)
    put("fitted.mixture.means", gmm.means_)
    put("fitted.mixture.covariances", gmm.covariances_)
    put("fitted.mixture.scores", gmm.predict_proba(iris))
    put("fitted.mixture.predictions", gmm.predict(iris))
    loop("sgd-steps", F32, steps=500, width=256, adaptive=False)
    loop("adam-steps", F32, steps=200, width=64, adaptive=True)
    loop("adam-double", F64, steps=200, width=64, adaptive=True)


def loop(name: str, dtype: Scalar, steps: int, width: int, adaptive: bool) -> None:
    """A network of two layers, trained by its own gradient on mini-batches."""
    x = draw(name + "x", 512, width, dtype=dtype)
    y = np.argmax(x @ draw(name + "t", width, 10, dtype=dtype), axis=1)
    weights = [
        draw(name + "1", width, width, dtype=dtype) / dtype(width**0.5),
        draw(name + "2", width, 10, dtype=dtype) / dtype(width**0.5),
    ]
    first = [np.zeros_like(w) for w in weights]
    second = [np.zeros_like(w) for w in weights]
    losses = []
    for step in range(steps):
        rows = slice(step * 64 % 512, step * 64 % 512 + 64)
        hidden = np.maximum(x[rows] @ weights[0], 0)
        p = softmax(hidden @ weights[1])
        losses.append(-np.log(p[np.arange(64), y[rows]] + dtype(1e-12)).mean())
        p[np.arange(64), y[rows]] -= dtype(1)
        back = p @ weights[1].T * (hidden > 0)
        for number, gradient in enumerate((x[rows].T @ back / dtype(64), hidden.T @ p / dtype(64))):
            if not adaptive:
                weights[number] = weights[number] - dtype(0.05) * gradient
                continue
            first[number] = first[number] * dtype(0.9) + gradient * dtype(0.1)
            second[number] = second[number] * dtype(0.999) + gradient**2 * dtype(0.001)
            unbiased = (
                first[number] / dtype(1 - 0.9 ** (step + 1)),
                second[number] / dtype(1 - 0.999 ** (step + 1)),
            )
            weights[number] = weights[number] - dtype(0.002) * unbiased[0] / (
                np.sqrt(unbiased[1]) + dtype(1e-8)
            )
    put(f"fitted.{name}.weights1", weights[0])
    put(f"fitted.{name}.weights2", weights[1])
    put(f"fitted.{name}.losses", losses)
    logits = np.maximum(x @ weights[0], 0) @ weights[1]
    put(f"fitted.{name}.scores", softmax(logits))
    put(f"fitted.{name}.predictions", np.argmax(logits, axis=1))


def main(argv: list[str]) -> None:
    warnings.simplefilter("ignore")
    for name in argv[1:] or FAMILIES:
        with np.errstate(all="ignore"):
            FAMILIES[name]()
    # What no npz can hold is stored as its bits, and named so.
    stored: dict[str, Any] = {
        name: each.view(np.uint16) if each.dtype == BF16 else each for name, each in RESULTS.items()
    }
    np.savez(argv[0], **stored)


if __name__ == "__main__":
    main(sys.argv[1:])
