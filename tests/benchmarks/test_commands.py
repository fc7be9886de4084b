import sys

import pytest

from benchmarks.commands import CannotMeasure, run


def test_a_program_is_timed_and_its_last_line_parsed():
    done = run([sys.executable, "-c", "import time; time.sleep(0.3); print('noise'); print('{\"a\": 1}')"])
    assert done.result == {"a": 1}
    assert 0.3 <= done.seconds < 30


def test_variables_are_added_to_the_environment():
    done = run([sys.executable, "-c", "import os; print(int(os.environ['FRUIT']) + ('PATH' in os.environ))"], {"FRUIT": "1"})
    assert done.result == 2


def test_the_first_line_of_a_failure_is_its_reason():
    code = "import sys\nprint('noise')\ntry:\n  1 / 0\nfinally:\n  print('more noise', file=sys.stderr)"
    with pytest.raises(CannotMeasure) as failure:
        run([sys.executable, "-c", code])
    first, *others = str(failure.value).splitlines()
    assert first.endswith("exit code 1, ZeroDivisionError: division by zero")
    assert {"noise", "more noise"} <= set(others)


def test_a_missing_program_is_a_failure():
    with pytest.raises(CannotMeasure, match="no-such-program"):
        run(["/no-such-program"])
