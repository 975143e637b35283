import pytest

pytest.register_assert_rewrite(f"{__name__}.grid")
for group in ("startup", "drain", "probe_up", "probe_down", "probe_rtt", "aggregation", "bandwidth", "spurious"):
    pytest.register_assert_rewrite(f"{__name__}.cases_{group}")
