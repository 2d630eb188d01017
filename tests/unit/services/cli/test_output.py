import pytest

from services.cli.output import print_table, printable


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert printable("mug\x1b[2J\r\n\udce9.jpg") == r"mug\x1b[2J\r\n\udce9.jpg"
    assert printable("Тапочки ü.jpg") == "Тапочки ü.jpg"


def test_tables_show_text_as_it_is_and_never_fold_in_a_pipe(
    capsys: pytest.CaptureFixture[str],
) -> None:
    long = "x" * 300
    print_table(
        ["file", "n"], [[("[red]a[/red].jpg", ""), ("1", "green")], [(long, ""), ("2", "")]]
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["[red]a[/red].jpg", "1"]
    assert lines[3].split() == [long, "2"]
