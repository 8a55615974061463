"""Who must become one person and who must not: the guard on the NIK, twins, namesakes, what people decide."""

import logging
from datetime import date

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_linkage import BUDI, CARD, CHILD, CHILDREN, FAMILIES, MEMBERS, OTHER_CARD, SITI, World
from warehouse import linkage
from warehouse.core.errors import BuildError, ConfigError
from warehouse.ledger import access_log
from warehouse.linkage import clerical_review, clusters, exact, model, profiles
from warehouse.storage import keys, vault

MOTHER = {"nik": BUDI, "no_kk": CARD, "nama": "ANI RAHAYU", "tanggal_lahir": date(1990, 5, 3), "id_jenis_kelamin": "2"}
MEMBER = {"nama": "SITI KENARI", "tanggal_lahir": date(2020, 2, 1), "id_jenis_kelamin": "P", "no_kk": CARD}


@pytest.fixture
def world(settings, monkeypatch) -> World:
    return World(settings, monkeypatch)


def keys_of(links: dict[str, dict], *wanted: str) -> list[str]:
    return [links[name]["person_key"] for name in wanted]


# --- the guard on the NIK ---------------------------------------------------------------------------------------------


def test_a_mothers_nik_on_a_child_is_looked_at_and_never_a_link(world):
    world.deliver(MEMBERS, [MOTHER])
    world.deliver(CHILDREN, [CHILD | {"nik": BUDI}])
    links = world.links()
    mother, child = keys_of(links, "social_registry_individuals:a0", "eppgbm:a0")
    assert mother != child
    assert ("eppgbm:a0", "social_registry_individuals:a0") in world.candidates()
    assert links["eppgbm:a0"]["band"] == "review"


@pytest.mark.parametrize(
    ("changed", "is_same"),
    [
        ({"nama": "KENARI SITI"}, True),
        ({"nama": "SITI KENARY"}, True),
        ({"nama": "Siti Kenari, S.Pd"}, True),
        ({"nama": "SITI"}, True),
        ({"tgl_lahir": date(2020, 1, 2)}, True),
        ({"tgl_lahir": date(2020, 2, 11)}, True),
        ({"nama": "BAMBANG"}, False),
        ({"nama": "BAMBANG", "tgl_lahir": date(1990, 7, 9)}, False),
        ({"tgl_lahir": date(1991, 7, 9)}, False),
    ],
)
def test_an_equal_nik_holds_while_name_and_birth_date_do_not_speak_against_it(world, changed, is_same):
    world.deliver(MEMBERS, [MEMBER | {"nik": SITI}])
    world.deliver(CHILDREN, [CHILD | {"nik": SITI} | changed])
    one, other = keys_of(world.links(), "social_registry_individuals:a0", "eppgbm:a0")
    assert (one == other) == is_same


def test_a_nik_whose_own_date_is_wrong_still_links(world):
    """Numbers given out with a wrong date exist: the structure is a hint, never a rejection."""
    odd = "3671010107800007"
    world.deliver(MEMBERS, [MEMBER | {"nik": odd}])
    world.deliver(CHILDREN, [CHILD | {"nik": odd}])
    one, other = keys_of(world.links(), "social_registry_individuals:a0", "eppgbm:a0")
    assert one == other


ANI_NIK = "3671014305900008"  # of 3 May 1990, a woman
SIBLINGS = [
    CHILD | {"nik": ANI_NIK, "nama": "RIZKI", "tgl_lahir": date(2022, 12, 1), "jk": "L"},
    CHILD | {"nik": ANI_NIK, "nama": "NADIA", "tgl_lahir": date(2024, 11, 20)},
]


def test_siblings_under_their_mothers_nik_are_two_and_neither_has_the_number(world):
    world.deliver(CHILDREN, SIBLINGS)
    links = world.links()
    assert len(set(keys_of(links, "eppgbm:a0", "eppgbm:a1"))) == 2
    assert "nik" not in {link["method"] for link in links.values()}


def test_a_child_under_its_mothers_nik_is_still_found_in_the_registry(world):
    registered = MEMBER | {"nama": "NADIA", "tanggal_lahir": date(2024, 11, 20), "nik": "3671016011240007"}
    father = {"nama": "BUDI", "tanggal_lahir": date(1985, 3, 4), "id_jenis_kelamin": "1", "no_kk": CARD, "nik": BUDI}
    world.deliver(MEMBERS, [registered, father, MOTHER | {"nama": "ANI", "nik": ANI_NIK}])
    world.deliver(CHILDREN, SIBLINGS)
    links = world.links()
    nadia, child, other = keys_of(links, "social_registry_individuals:a0", "eppgbm:a1", "eppgbm:a0")
    assert nadia == child != other


TWIN_NAMES = [
    ("BY NY SITI RAHAYU 1", "BY NY SITI RAHAYU 2"),
    ("BY. NY. SITI RAHAYU I", "BY. NY. SITI RAHAYU II"),
    ("Bayi Ny. Siti Rahayu (A)", "Bayi Ny. Siti Rahayu (B)"),
    ("BY NY SITI RAHAYU, 1/2", "BY NY SITI RAHAYU, 2/2"),
    ("BY NY SITI RAHAYU KEMBAR SATU", "BY NY SITI RAHAYU KEMBAR DUA"),
    ("BY NY SITI RAHAYU", "BY NY SITI RAHAYU 2"),
]


def test_twins_without_a_name_are_two_whoever_wrote_their_number(world):
    world.deliver(CHILDREN, [CHILD | {"nama": name, "nik": ANI_NIK} for name in TWIN_NAMES[0]])
    assert len(set(keys_of(world.links(), "eppgbm:a0", "eppgbm:a1"))) == 2


@given(st.text("ABIKNSTUY .,'-", min_size=3, max_size=20), st.integers(1, 9), st.integers(1, 9))
def test_a_number_in_a_name_survives_every_spelling(name, one, other):
    with duckdb.connect() as fresh:
        profiles.define_macros(fresh)

        def keyed(text: str) -> str | None:
            return fresh.execute("SELECT name_key($1)", [text]).fetchone()[0]

        key, spaced, degree = keyed(f"{name} {one}"), keyed(f" {name.lower()}  ({one}) "), keyed(f"{name}, {one}")
        assert key == spaced == degree
        assert key is None or (key == keyed(f"{name} {other}")) == (one == other)


def test_the_number_kept_of_a_cluster_is_the_one_that_describes_its_bearer():
    """Between two numbers of one person, a slip and the true one, the true one is compared."""
    rows = [
        {"nik": "3671014102200008", "name": "SITI KENARI", "card": "c1"},
        {"nik": "3671014103200008", "name": "SITI KENARI", "card": "c1"},
    ]
    same = {"dataset": "bpjstk/participants", "birth_date": date(2020, 2, 1), "sex": "P", "kk_key": None}
    for order in (rows, rows[::-1]):
        numbered = [
            row | same | {"parent_name": None, "nik_key": row["nik"], "record_key": str(number)}
            for number, row in enumerate(order)
        ]
        assert kept_numbers(numbered) == ["3671014102200008"]


def kept_numbers(rows: list[dict]) -> list[str]:
    with duckdb.connect() as fresh:
        cluster_exactly(fresh, rows)
        exact.rank_claims(fresh)
        clusters.build_comparisons(fresh)
        return [nik for (nik,) in fresh.execute("SELECT nik FROM cluster_records").fetchall()]


def test_a_number_many_people_go_by_is_nobodys(world):
    birth = [date(2020, 1, day) for day in range(1, 11)]
    some = ("ADI", "BUDI", "CITRA", "DEWI", "EKO", "FAJAR", "GITA", "HADI", "INTAN", "JOKO")
    rows = [CHILD | {"nik": SITI, "nama": name, "tgl_lahir": day} for name, day in zip(some, birth, strict=True)]
    world.deliver(CHILDREN, rows)
    assert len(set(keys_of(world.links(), *(f"eppgbm:a{n}" for n in range(10))))) == 10


# --- without a number -------------------------------------------------------------------------------------------------


def test_a_toddler_without_nik_finds_the_registrys_child_by_name_date_and_parents(world):
    father = {"nama": "BUDI", "tanggal_lahir": date(1985, 3, 4), "id_jenis_kelamin": "1", "no_kk": CARD, "nik": BUDI}
    world.deliver(MEMBERS, [MEMBER | {"nik": SITI}, father])
    world.deliver(CHILDREN, [CHILD])
    links = world.links()
    child, registered = links["eppgbm:a0"], links["social_registry_individuals:a0"]
    assert child["person_key"] == registered["person_key"]
    assert child["family_key"] == registered["family_key"]
    assert (child["method"], child["band"]) == ("splink", "link")
    assert clusters.LINK_FROM <= child["weight"] < 1


def test_one_agency_holds_a_person_once(world):
    """Two children of one agency cannot both be the registry's one child, however alike."""
    world.deliver(MEMBERS, [MEMBER | {"nik": SITI}])
    world.deliver(CHILDREN, [CHILD | {"nik": SITI}, CHILD | {"nik": "3671014102200015"}])
    first, second = keys_of(world.links(), "eppgbm:a0", "eppgbm:a1")
    assert first != second


@pytest.mark.parametrize("other", ["HUSEIN", "HASNA", "SITI KENANGA"])
def test_twins_are_two_people_also_where_only_one_is_registered(world, other):
    world.deliver(MEMBERS, [MEMBER | {"nik": SITI}])
    world.deliver(CHILDREN, [CHILD | {"nama": other}])
    registered, twin = keys_of(world.links(), "social_registry_individuals:a0", "eppgbm:a0")
    assert registered != twin


def test_both_twins_find_their_own(world):
    world.deliver(MEMBERS, [MEMBER, MEMBER | {"nama": "SITI KENANGA"}])
    world.deliver(CHILDREN, [CHILD | {"nama": "SITI KENANGA"}, CHILD])
    links = world.links()
    assert keys_of(links, "social_registry_individuals:a0", "social_registry_individuals:a1") == keys_of(
        links, "eppgbm:a1", "eppgbm:a0"
    )


def test_namesakes_of_another_birth_date_stay_apart(world):
    other = MEMBER | {"tanggal_lahir": date(2017, 11, 23), "no_kk": OTHER_CARD}
    world.deliver(MEMBERS, [other])
    world.deliver(CHILDREN, [CHILD])
    assert len(set(keys_of(world.links(), "social_registry_individuals:a0", "eppgbm:a0"))) == 2


def test_two_equally_likely_namesakes_wait_for_a_person(world):
    world.deliver(MEMBERS, [MEMBER | {"nik": SITI}, MEMBER | {"nik": "3671014102200015", "no_kk": OTHER_CARD}])
    world.deliver(CHILDREN, [CHILD | {"nama_ortu": "- / -"}])
    linkage.link(world.s, world.led)
    assert world.candidates() >= {
        ("social_registry_individuals:a0", "eppgbm:a0"),
        ("social_registry_individuals:a1", "eppgbm:a0"),
    }


def test_a_child_on_no_card_belongs_to_the_couple_of_its_parents(world):
    father = {"nama": "BUDI", "tanggal_lahir": date(1985, 3, 4), "id_jenis_kelamin": "1", "id_hub_kepala_keluarga": "1"}
    mother = {"nama": "ANI", "tanggal_lahir": date(1987, 3, 4), "id_jenis_kelamin": "2", "id_hub_kepala_keluarga": "2"}
    couple = [father | {"no_kk": CARD, "nik": BUDI}, mother | {"no_kk": CARD}]
    world.deliver(MEMBERS, couple)
    world.deliver(FAMILIES, [{"no_kk": CARD}])
    world.deliver(CHILDREN, [CHILD, CHILD | {"nama_ortu": "BUDI / IDA", "nama": "ROSA"}])
    links = world.links()
    assert links["eppgbm:a0"]["family_key"] == links["social_registry_families:a0"]["family_key"]
    assert links["eppgbm:a1"]["family_key"] is None


# --- whatever the order -----------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["ADI", "BUDI SANTOSO", "SANTOSO BUDI", "M. RIZKI", "MUHAMMAD RIZKI", "MUHAMAD RIZKY", "SITI"])
PERSON = st.fixed_dictionaries(
    {
        "dataset": st.sampled_from([profiles.REGISTRY, "kemenkes/eppgbm", "bpjstk/participants"]),
        "nik": st.sampled_from([None, SITI, BUDI, "3671014102200015"]),
        "kk_key": st.sampled_from([None, "k1", "k2"]),
        "card": st.sampled_from([None, "c1"]),
        "name": NAMES,
        "birth_date": st.sampled_from([date(2020, 2, 1), date(2020, 1, 2), date(1990, 5, 3)]),
        "sex": st.sampled_from(["L", "P"]),
        "parent_name": st.sampled_from([None, "BUDI / ANI", "BUDI / IDA"]),
    }
)


def cluster_exactly(connection: duckdb.DuckDBPyConnection, rows: list[dict]) -> None:
    texts = ["record_key", "dataset", "nik_key", "nik", "kk_key", "card", "rt", "rw", "name", "sex", "parent_name"]
    schema = pa.schema([*((name, pa.string()) for name in texts), ("birth_date", pa.date32())])
    given_rows = pa.Table.from_pylist([row | {"nik_key": row["nik"], "rt": None, "rw": None} for row in rows], schema)
    profiles.define_macros(connection)
    vault.define_pseudonym(connection, b"a key of this test alone")
    connection.register("identities", given_rows)
    profiles.alone(connection)
    clerical_review.apply(connection, [])
    exact.find_edges(connection)
    clusters.cluster(connection)


def linked(rows: list[dict]) -> set[frozenset[int]]:
    """Groups of records that become one person, by the rows' own numbers."""
    with duckdb.connect() as fresh:
        cluster_exactly(fresh, rows)
        return {
            frozenset(found)
            for (found,) in fresh.execute(
                "SELECT list(DISTINCT CAST(records.record_key AS INT)) FROM records JOIN profiles USING (profile)"
                " JOIN clusters USING (id) GROUP BY cluster"
            ).fetchall()
        }


BABY = {"dataset": "kemenkes/eppgbm", "birth_date": date(2020, 2, 1), "sex": "P", "parent_name": "BUDI / ANI"}
ALONE = {"kk_key": None, "card": None}


@pytest.mark.parametrize("number", [None, ANI_NIK, SITI])
@pytest.mark.parametrize("names", TWIN_NAMES)
def test_twins_who_differ_by_a_number_are_never_one_by_exact_steps(names, number):
    rows = [BABY | ALONE | {"nik": number, "name": name, "record_key": str(at)} for at, name in enumerate(names)]
    assert len(linked(rows)) == 2


@pytest.mark.parametrize(
    ("name", "number", "people"), [("BY NY ANI", ANI_NIK, 2), ("BY NY ANI", SITI, 2), ("ANI", SITI, 1)]
)
def test_another_sex_is_another_person_unless_the_number_is_the_persons_own(name, number, people):
    rows = [
        BABY | ALONE | {"nik": number, "name": name, "sex": sex, "record_key": str(at)} for at, sex in enumerate("LP")
    ]
    assert len(linked(rows)) == people


@given(st.lists(PERSON, min_size=2, max_size=8), st.randoms())
@settings(max_examples=25)
def test_exact_links_do_not_depend_on_the_order_of_rows(rows, random):
    numbered = [row | {"record_key": str(number)} for number, row in enumerate(rows)]
    shuffled = list(numbered)
    random.shuffle(shuffled)
    assert linked(numbered) == linked(shuffled)


SCORES = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 7), st.floats(0.05, 0.9999)).filter(lambda pair: pair[0] < pair[1]),
    max_size=20,
    unique_by=lambda pair: pair[:2],
)


def joined(chosen: list[clusters.Scored]) -> dict[int, set[int]]:
    groups = {node: {node} for node in range(8)}
    for pair in chosen:
        groups[pair.a] |= groups[pair.b]
        for member in groups[pair.a]:
            groups[member] = groups[pair.a]
    return groups


@given(SCORES, st.lists(st.sampled_from([1, 2, 3, 4]), min_size=8, max_size=8), st.frozensets(st.integers(0, 7)))
def test_choices_are_one_to_one_within_an_agency(pairs, agencies, without_nik):
    """A bit per agency; two people of one agency who both have a NIK never end up as one."""
    scored = sorted(
        (clusters.Scored(a, b, p, p >= clusters.LINK_FROM) for a, b, p in pairs), key=lambda x: -x.probability
    )
    chosen = clusters.choose(scored, dict(enumerate(agencies)), without_nik, frozenset())
    for group in joined(chosen).values():
        numbered = [agencies[node] for node in group if node not in without_nik]
        assert sum(numbered) == sum({bit for mask in numbered for bit in (mask & 1, mask & 2, mask & 4)})


EVERY_PAIR = [(a, b) for a in range(5) for b in range(a + 1, 5)]


@given(
    st.lists(st.tuples(st.sampled_from(EVERY_PAIR), st.integers(5, 25)), unique_by=lambda pair: pair[0], min_size=4),
    st.frozensets(st.sampled_from(EVERY_PAIR), min_size=1, max_size=3),
)
def test_whom_people_told_apart_no_third_joins(pairs, apart):
    scored = sorted(
        (clusters.Scored(a, b, 1 - 2.0**-bits, True) for (a, b), bits in pairs), key=lambda x: -x.probability
    )
    groups = joined(clusters.choose(scored, dict.fromkeys(range(5), 0), frozenset(range(5)), apart))
    assert not any(b in groups[a] for a, b in apart)


@given(SCORES, st.randoms())
def test_choices_follow_the_scores_and_nothing_else(pairs, random):
    scored = [clusters.Scored(a, b, p, p >= clusters.LINK_FROM) for a, b, p in pairs]
    bits = dict.fromkeys(range(8), 0)

    def order(x: clusters.Scored) -> tuple:
        return (-x.probability, x.a, x.b)

    shuffled = list(scored)
    random.shuffle(shuffled)
    first = clusters.choose(sorted(scored, key=order), bits, frozenset(), frozenset())
    assert first == clusters.choose(sorted(shuffled, key=order), bits, frozenset(), frozenset())


# --- decisions --------------------------------------------------------------------------------------------------------

REVIEWER = "Rina"


def opened(world: World) -> None:
    access_log.open_for(world.s, world.led, "identity", REVIEWER, "telaah tautan bulan ini", 4, approver="Dewi")


def pair_of(world: World, *records: str) -> dict:
    (found,) = [
        pair
        for pair in linkage.queue(world.s, world.led)
        if {world.names[pair[f"{side}_record_key"]] for side in ("left", "right")} == set(records)
    ]
    return found


@pytest.fixture
def twins(world) -> World:
    """A registered child, and one alike whom only a person can tell from a twin."""
    world.deliver(MEMBERS, [MEMBER | {"nik": SITI}])
    world.deliver(CHILDREN, [CHILD | {"nama": "SITI KENARA"}])
    world.links()
    return world


TWINS = ("social_registry_individuals:a0", "eppgbm:a0")


def test_the_queue_tells_nothing_of_anybody(twins):
    told = str(linkage.queue(twins.s, twins.led))
    assert TWINS[0] not in told
    for secret in (SITI, "KENARI", "KENARA", "2020-02-01", "BUDI"):
        assert secret not in told


def test_nobody_sees_or_decides_without_an_opening(twins):
    pair = pair_of(twins, *TWINS)
    with pytest.raises(ConfigError, match="OPENING_NONE"):
        linkage.show(twins.s, twins.led, pair["pair_id"], REVIEWER)
    with pytest.raises(ConfigError, match="OPENING_NONE"):
        linkage.decide(twins.s, twins.led, pair["pair_id"], "link", "akta kelahiran sama", REVIEWER)


def test_an_authorised_person_sees_both_records_in_clear(twins):
    opened(twins)
    pair = pair_of(twins, *TWINS)
    shown = linkage.show(twins.s, twins.led, pair["pair_id"], REVIEWER)
    assert {row["name"] for row in shown} == {"SITI KENARI", "SITI KENARA"}
    seen = {row["record_key"] for row in twins.led.rows("select record_key from looks")}
    assert seen == {pair["left_record_key"], pair["right_record_key"]}


def test_a_decision_can_be_taken_back(twins):
    opened(twins)
    pair_id = pair_of(twins, *TWINS)["pair_id"]
    linkage.decide(twins.s, twins.led, pair_id, "link", "akta kelahiran diperiksa", REVIEWER)
    assert len(set(keys_of(twins.links(), *TWINS))) == 1
    assert [(row["pair_id"], row["decision"]) for row in linkage.decided(twins.led)] == [(pair_id, "link")]
    linkage.decide(twins.s, twins.led, pair_id, "not_link", "ternyata dua akta", REVIEWER)
    assert len(set(keys_of(twins.links(), *TWINS))) == 2
    assert [row["decision"] for row in linkage.decided(twins.led)] == ["not_link"]


def test_a_model_is_not_learnt_from_a_handful(twins):
    before = linkage.models(twins.s)
    with pytest.raises(BuildError, match="LINKAGE_TRAINING"):
        linkage.train(twins.s, twins.led)
    assert linkage.models(twins.s) == before


def test_models_are_numbered_and_none_is_overwritten(settings):
    first, second = model.store(settings, {"a": 1}), model.store(settings, {"a": 2})
    first.unlink()
    third = model.store(settings, {"a": 3})
    assert [path.name for path in (first, second, third)] == ["0001.json", "0002.json", "0003.json"]
    assert model.newest(settings) == third
    assert third.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("decision", "is_same"), [("link", True), ("not_link", False)])
def test_a_decision_holds_whatever_is_rebuilt(twins, decision, is_same):
    opened(twins)
    linkage.decide(
        twins.s, twins.led, pair_of(twins, *TWINS)["pair_id"], decision, "akta kelahiran diperiksa", REVIEWER
    )
    before = linkage.inputs(twins.s, twins.led)
    links = twins.links()
    one, other = keys_of(links, *TWINS)
    assert (one == other) == is_same
    assert linkage.queue(twins.s, twins.led) == []
    if is_same:
        assert links["eppgbm:a0"]["method"] == "review"
    # The same rows sent again have other record keys; what was decided of the people still holds.
    twins.deliver(CHILDREN, [CHILD | {"nama": "SITI KENARA"}], content="b")
    one, other = keys_of(twins.links(), TWINS[0], "eppgbm:b0")
    assert (one == other) == is_same
    assert linkage.inputs(twins.s, twins.led) == before


def test_unsure_leaves_the_pair_in_the_queue_and_the_newest_decision_counts(twins):
    opened(twins)
    linkage.decide(twins.s, twins.led, pair_of(twins, *TWINS)["pair_id"], "unsure", "berkas belum lengkap", REVIEWER)
    twins.links()
    assert pair_of(twins, *TWINS)["is_unsure"]
    linkage.decide(twins.s, twins.led, pair_of(twins, *TWINS)["pair_id"], "not_link", "dua akta kelahiran", REVIEWER)
    twins.links()
    assert linkage.queue(twins.s, twins.led) == []


def test_a_false_link_by_nik_is_found_by_its_person_and_undone(world):
    world.deliver(MEMBERS, [MEMBER | {"nik": SITI}])
    world.deliver(CHILDREN, [CHILD | {"nik": SITI, "nama": "SITI KENARA"}])
    (key,) = set(keys_of(world.links(), *TWINS))
    assert linkage.queue(world.s, world.led) == [], "nothing but a person doubts it"
    records = linkage.person(world.s, world.led, key)
    assert {world.names[row["record_key"]] for row in records} == set(TWINS)
    assert {row["method"] for row in records} == {"nik"}
    keys = [row["record_key"] for row in records]
    with pytest.raises(ConfigError, match="OPENING_NONE"):
        linkage.ask(world.s, world.led, *keys, "nomor saudara kembarnya", REVIEWER)
    opened(world)
    pair_id = linkage.ask(world.s, world.led, *keys, "nomor saudara kembarnya", REVIEWER)
    assert len(set(keys_of(world.links(), *TWINS))) == 1, "asking alone changes nothing"
    waiting = pair_of(world, *TWINS)
    assert (waiting["pair_id"], waiting["method"], waiting["is_unsure"]) == (pair_id, "asked", True)
    assert waiting["datasets"] == ["bps/social_registry_individuals", "kemenkes/eppgbm"]
    assert {row["name"] for row in linkage.show(world.s, world.led, pair_id, REVIEWER)} == {
        "SITI KENARI",
        "SITI KENARA",
    }
    linkage.decide(world.s, world.led, pair_id, "not_link", "dua akta kelahiran", REVIEWER)
    assert len(set(keys_of(world.links(), *TWINS))) == 2
    assert linkage.queue(world.s, world.led) == []


def test_two_records_that_nothing_brought_together_can_be_linked(world):
    world.deliver(MEMBERS, [MEMBER | {"nik": SITI}])
    world.deliver(CHILDREN, [CHILD | {"nik": BUDI, "nama": "BAMBANG", "tgl_lahir": date(2019, 7, 9)}])
    one, other = keys_of(world.links(), *TWINS)
    opened(world)
    records = [linkage.person(world.s, world.led, key)[0]["record_key"] for key in (one, other)]
    pair_id = linkage.ask(world.s, world.led, *records, "nama diganti menurut penetapan", REVIEWER)
    linkage.decide(world.s, world.led, pair_id, "link", "penetapan pengadilan dilihat", REVIEWER)
    assert len(set(keys_of(world.links(), *TWINS))) == 1


def test_a_record_that_nothing_names_is_found_by_its_key_outside_the_build(world):
    """Half a description and no number: no link, and in micro.duckdb a pseudonym of the record's own key."""
    world.deliver(CHILDREN, [CHILD | {"nik": None, "nama": None}])
    assert world.links() == {}
    (record,) = world.names
    vault_key = keys.pseudonym_key(world.s)
    with duckdb.connect() as connection:
        vault.define_pseudonym(connection, vault_key)
        (key,) = connection.execute(f"SELECT {vault.own_key_sql('$1')}", [record]).fetchone()
    assert key.startswith(f"{vault.key_id(vault_key)}:")
    assert record not in key
    (found,) = linkage.person(world.s, world.led, key)
    assert (found["record_key"], found["dataset"], found["method"]) == (record, "kemenkes/eppgbm", None)


@pytest.mark.parametrize("wrong", ["missing", "same"])
def test_only_two_known_records_can_be_asked_about(twins, wrong):
    opened(twins)
    known = pair_of(twins, *TWINS)["left_record_key"]
    with pytest.raises(ConfigError, match="REVIEW_RECORDS"):
        linkage.ask(twins.s, twins.led, known, known if wrong == "same" else "f" * 64, "dua akta kelahiran", REVIEWER)
    with pytest.raises(ConfigError, match=r"REVIEW_UNKNOWN.*review ask"):
        linkage.person(twins.s, twins.led, known)


@pytest.mark.parametrize(("decision", "reason"), [("maybe", "akta kelahiran sama"), ("link", "ya")])
def test_a_decision_takes_a_known_word_and_a_reason(twins, decision, reason):
    opened(twins)
    with pytest.raises(ConfigError, match="REVIEW_DECISION"):
        linkage.decide(twins.s, twins.led, pair_of(twins, *TWINS)["pair_id"], decision, reason, REVIEWER)


# --- nothing told -----------------------------------------------------------------------------------------------------


def test_linking_logs_nothing_and_writes_keys_only(twins, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        twins.links()
    told = caplog.text + "".join(capfd.readouterr())
    for secret in (SITI, "KENARI", "KENARA", "BUDI"):
        assert secret not in told
    assert {path.name for path in twins.s.vault_dir.iterdir() if path.is_file()} == {
        "identity_links.parquet",
        "identity_candidates.parquet",
    }
