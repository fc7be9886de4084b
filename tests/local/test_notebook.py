"""How JupyterLab is started."""

from pathlib import Path

from local.notebook import NOTEBOOK, command


def test_it_opens_the_notebook_on_this_machine_only_and_asks_no_question() -> None:
    program, file, *options = command(8123, program=Path("jupyter-lab"))
    assert program == "jupyter-lab"
    assert Path(file) == NOTEBOOK
    assert NOTEBOOK.is_file()
    assert {"--ServerApp.ip=127.0.0.1", "--ServerApp.port=8123", "--ServerApp.answer_yes=True"} <= set(options)
    assert not [option for option in options if "token" in option or "password" in option], "its own random token protects it"
