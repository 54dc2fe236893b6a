"""Which numbers are a clock's or an id by their names; what a model may well compute is not."""

from __future__ import annotations

import pytest

from pytest_mlcontainer.model.clock_names import is_digest, is_id, is_measured

MEASURED = [
    "fit_time", "metrics.train_time_s", "history[3].epoch_time", "stepTimeMs", "elapsed",
    "total_elapsed_seconds", "runtime", "train_runtime", "samples_per_second", "tokens_per_sec",
    "mean_score_time", "wall_clock", "timestamp", "created_at", "throughput", "inference time",
    "_runtime", "_wandb.runtime", "peak_memory_mb", "max_memory_allocated", "gpu_mem", "rss",
    "memory_usage", "cpu_percent", "gpu_utilization", "peak_gpu_memory_gb",
    "time/time_elapsed", "time_total_s", "time_this_iter_s", "timers.learn_time_ms",
    "timers.learn_throughput", "perf.cpu_util_percent", "rank_data_time", "fit_times",
]  # fmt: skip
OF_ONE = ["time", "duration", "seconds", "latency_p99", "timings.load", "started", "end_time"]
NEITHER = [
    "loss", "epoch", "step", "accuracy", "survival_time", "arrival_time", "delivery_time_min",
    "lifetime", "sometimes", "timeout", "time_series", "timezone", "runtime_error_rate", "etas",
    "predicted_duration", "seconds_hand", "best_epoch", "", "[3]", "times_seen",
    "memory", "mem", "long_term_memory", "memory_cells", "utilization", "memory_loss", "ram_price",
]  # fmt: skip


@pytest.mark.parametrize("item", MEASURED)
def test_what_is_called_as_a_clock_says_is_measured(item: str) -> None:
    """Whatever its number of values."""
    assert is_measured(item, 1)
    assert is_measured(item, 500)


@pytest.mark.parametrize("item", OF_ONE)
def test_a_short_name_counts_for_one_number_alone(item: str) -> None:
    """A column of times is data."""
    assert is_measured(item, 1)
    assert not is_measured(item, 500)


@pytest.mark.parametrize("item", NEITHER)
def test_what_a_model_computes_is_no_clocks(item: str) -> None:
    """A number that is not a duration is never set apart."""
    assert not is_measured(item, 1)


@pytest.mark.parametrize(
    "item", ["run_id", "meta.runId", "mlflow_run_id", "trace-id", "pid", "uuid"]
)
def test_ids_of_runs_are_told_by_their_names(item: str) -> None:
    """Of a run, not of what it is about."""
    assert is_id(item)


@pytest.mark.parametrize(
    "item", ["id", "sample_id", "user_id", "trial_id", "class_id", "valid", ""]
)
def test_ids_of_rows_are_none_of_a_run(item: str) -> None:
    """Which row was drawn is a value."""
    assert not is_id(item)


@pytest.mark.parametrize(
    "item", ["stages.train.outs[0].md5", "sha256", "modelHash", "file_checksum"]
)
def test_digests_are_told_by_their_names(item: str) -> None:
    """What they are made of moved: nobody draws them at random."""
    assert is_digest(item)


@pytest.mark.parametrize("item", ["id", "hashes_per_second", "run_id", ""])
def test_what_is_no_digest_by_its_name(item: str) -> None:
    assert not is_digest(item)
