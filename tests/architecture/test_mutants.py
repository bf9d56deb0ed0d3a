"""The tables of mutants are of the code as it stands."""

from benchmarks.mutation import ROOT, load, problems, sites


def test_the_text_of_every_mutant_stands_once_where_its_table_says():
    assert list(problems(ROOT, load())) == []


def test_every_mutant_changes_its_text_and_says_what_that_would_mean():
    for mutant in load():
        assert mutant.text != mutant.becomes, mutant.name
        assert mutant.means, mutant.name
        assert mutant.tests, mutant.name


def test_every_mutant_is_code():
    for mutant in load():
        [file] = sites(ROOT, mutant)
        changed = file.read_text(encoding="utf-8").replace(mutant.text, mutant.becomes)
        compile(changed, f"{mutant.name}: {file}", "exec")
