"""The tables of mutants are of the code as it stands."""

from benchmarks.mutation import ROOT, load, problems


def test_the_text_of_every_mutant_stands_once_where_its_table_says():
    assert list(problems(ROOT, load())) == []


def test_every_mutant_changes_its_text_and_says_what_that_would_mean():
    for mutant in load():
        assert mutant.text != mutant.becomes, mutant.name
        assert mutant.means, mutant.name
        assert mutant.tests, mutant.name
