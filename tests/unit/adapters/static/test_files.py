"""What all static files together say, and what is kept."""

from __future__ import annotations

from adapters.platform import Delete, Event, Fresh, Problem, Resolved, Stale, Synced, Upsert
from adapters.static.files import Answer, Files, Gone, Unchanged, Unreadable
from pilot.model.service import ServiceKey


def file(*names: str, port: int = 80) -> bytes:
    entries = [f"- {{name: {name}.example, ports: [{{port: {port}}}]}}" for name in names]
    return "\n".join(["services:", *entries] if entries else ["services: []"]).encode()


def told(files: Files, may_lose: bool = True, **answers: Answer) -> list[Event]:
    return list(files.told({f"/etc/{name}.yaml": answer for name, answer in answers.items()}, may_lose))


def short(events: list[Event]) -> list[str]:
    words = []
    for event in events:
        match event:
            case Upsert(service):
                words.append(f"+{service.host.removesuffix('.example')}")
            case Delete(ServiceKey(_, host)):
                words.append(f"-{host.removesuffix('.example')}")
            case _:
                words.append(type(event).__name__)
    return words


def test_all_files_then_synced_once() -> None:
    files = Files("static")
    assert short(told(files, a=file("web"), b=file("db"))) == ["+web", "+db", "Synced"]
    assert told(files, a=Unchanged(), b=Unchanged()) == []


def test_a_file_that_is_deleted_takes_its_services_along_while_another_is_there() -> None:
    files = Files("static")
    told(files, a=file("web"), b=file("db"))
    assert short(told(files, b=Unchanged())) == ["-web"]


def test_the_last_file_that_goes_leaves_its_services_until_one_is_there_again() -> None:
    files = Files("static")
    told(files, a=file("web"))
    assert short(told(files)) == ["Stale"]
    assert told(files) == []
    assert short(told(files, b=file("db"))) == ["+db", "-web", "Fresh"]


def test_a_deletion_is_not_believed_while_no_other_file_can_be_read() -> None:
    files = Files("static")
    told(files, a=file("web"), b=file("db"))
    assert short(told(files, b=Unreadable("Permission denied"))) == ["Problem", "Stale"]


def test_the_only_file_that_goes_leaves_its_services() -> None:
    files = Files("static")
    told(files, may_lose=False, a=file("web"))
    assert short(list(files.gone("/etc/a.yaml: No such file"))) == ["Stale"]
    assert list(files.gone("/etc/a.yaml: No such file")) == []
    assert short(told(files, may_lose=False, a=file("web"))) == ["Fresh"]


def test_an_emptied_list_is_a_word_and_an_empty_file_is_not() -> None:
    files = Files("static")
    told(files, a=file("web"))
    assert short(told(files, a=b"")) == ["Problem"]
    assert short(told(files, a=file("web"))) == ["Resolved"]
    assert short(told(files, a=file())) == ["-web"]


def test_a_broken_file_keeps_its_services_and_a_bad_service_its_last_version() -> None:
    files = Files("static")
    told(files, a=file("web", "db"))
    assert short(told(files, a=b"services: [")) == ["Problem"]
    bad = file("web").replace(b"80", b"0") + b"\n- {name: new.example, ports: [{port: 80}]}"
    assert short(told(files, a=bad)) == ["+new", "-db", "Problem", "Resolved"]
    assert short(told(files, a=file("web", "new", port=81))) == ["+web", "+new", "Resolved"]


def test_a_service_without_a_name_keeps_all_others_of_its_file() -> None:
    files = Files("static")
    told(files, a=file("web", "db"))
    assert short(told(files, a=file("web") + b"\n- {ports: [{port: 80}]}")) == ["Problem"]


def test_of_two_files_with_one_service_the_first_by_name_counts_whatever_came_first() -> None:
    files = Files("static")
    told(files, b=file("web", port=81))
    events = told(files, a=file("web"), b=Unchanged())
    assert short(events) == ["+web", "Problem"]
    problem = next(e for e in events if isinstance(e, Problem))
    assert problem.where == "b.yaml:2"
    assert "a.yaml:2" in problem.message
    assert short(told(files, b=Unchanged())) == ["+web", "Resolved"]


def test_lines_that_move_are_no_change() -> None:
    files = Files("static")
    told(files, a=file("web"))
    assert told(files, a=b"# a remark\n" + file("web")) == []


def test_events_are_of_these_types_only() -> None:
    files = Files("static")
    seen = told(files, a=b"") + told(files, a=file("web")) + told(files) + told(files, a=Gone(), b=file("db"))
    assert {type(e) for e in seen} == {Upsert, Delete, Synced, Stale, Fresh, Problem, Resolved}
