from pyg_advinfonce.analysis.note_lines import note_lines


def test_a_note_of_all_names_none():
    assert note_lines({"a": ["few", "odd"], "b": ["few"]}) == ["few", "odd: a"]
    assert note_lines({"a": ["few"], "b": [], "c": ["few"]}) == ["few: a, c"]
    assert note_lines({}) == []
