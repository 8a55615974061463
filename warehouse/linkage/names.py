"""How names and dates are compared: the one place that says when two spellings are one name.

Here: SQL macros over names, birth dates and the NIK's own date, for a connection that sees identifiers. Not here: what
follows from an agreement (exact, model).
"""

import duckdb

# Written before a name by courtesy or office, never part of it.
_HONORIFICS = "H|HJ|KH|DRS|DRA|DR|IR|PROF|ALM|ALMH|TN|NY|NN|BPK|BAPAK|IBU|SDR|SDRI|AN|BAYI|BY"
# The many short and long forms of one first name; a lone M stands for it only at the start.
_MUHAMMAD = (
    "MUH|MOH|MHD|MHMD|MOHD|MOCH|MUCH|MUHAMAD|MUHAMMED|MOHAMAD|MOHAMMAD|MOHAMMED|MOCHAMAD|MOCHAMMAD|MUCHAMAD|MUCHAMMAD"
)

_MACROS = f"""
-- Letters only, without degrees behind a comma, titles in front, accents and apostrophes.
CREATE OR REPLACE TEMP MACRO name_letters(text) AS trim(regexp_replace(
    regexp_replace(upper(strip_accents(split_part(text, ',', 1))), '[''`´’]', '', 'g'), '[^A-Z]+', ' ', 'g'));

CREATE OR REPLACE TEMP MACRO name_spelt_out(text) AS regexp_replace(regexp_replace(regexp_replace(
    name_letters(text),
    '^(({_HONORIFICS}) )+', ''), '^M ', 'MUHAMMAD '), '\\b({_MUHAMMAD})\\b', 'MUHAMMAD', 'g');

-- The words of a name in alphabetical order: swapped parts are the same name. NULL where there is no letter.
CREATE OR REPLACE TEMP MACRO name_key(text) AS
    nullif(array_to_string(list_sort(string_split(name_spelt_out(text), ' ')), ' '), '');

-- The same letters in the order they were written, for a slip that changes where a word begins.
CREATE OR REPLACE TEMP MACRO name_line(text) AS nullif(replace(name_spelt_out(text), ' ', ''), '');

CREATE OR REPLACE TEMP MACRO has_word_more(one, other) AS
    list_has_all(string_split(one, ' '), string_split(other, ' '))
    OR list_has_all(string_split(other, ' '), string_split(one, ' '));

-- How alike two names are, 0 to 1, by whichever order of their words is the more alike.
CREATE OR REPLACE TEMP MACRO name_likeness(key, other_key, line, other_line) AS
    greatest(jaro_winkler_similarity(key, other_key), jaro_winkler_similarity(line, other_line));

-- 3 the same, 2 a slip or a word more, 1 alike, 0 another name; NULL where one is missing.
CREATE OR REPLACE TEMP MACRO name_agreement(key, other_key, line, other_line) AS CASE
    WHEN key IS NULL OR other_key IS NULL THEN NULL
    WHEN key = other_key THEN 3
    WHEN name_likeness(key, other_key, line, other_line) >= 0.92 OR has_word_more(key, other_key) THEN 2
    WHEN name_likeness(key, other_key, line, other_line) >= 0.8 OR damerau_levenshtein(line, other_line) <= 1 THEN 1
    ELSE 0 END;

-- A NIK's own date as YYMMDD; women's days count from 40.
CREATE OR REPLACE TEMP MACRO nik_birth(nik) AS
    nik[11:12] || nik[9:10] || printf('%02d', CAST(nik[7:8] AS INT) - CASE WHEN nik[7] >= '4' THEN 40 ELSE 0 END);

CREATE OR REPLACE TEMP MACRO is_nik_of(nik, birth, sex) AS coalesce(
    nik[7:12] = printf('%02d', day(birth) + CASE WHEN sex = 'P' THEN 40 ELSE 0 END) || strftime(birth, '%m%y'), false);

CREATE OR REPLACE TEMP MACRO is_swapped(one, other) AS
    year(one) = year(other) AND month(one) = day(other) AND day(one) = month(other);

-- 3 the same day, 2 day and month exchanged or one of day, month and year wrong, 0 another day.
CREATE OR REPLACE TEMP MACRO birth_agreement(one, other) AS CASE
    WHEN one IS NULL OR other IS NULL THEN NULL
    WHEN one = other THEN 3
    WHEN is_swapped(one, other)
        OR CAST(year(one) = year(other) AS INT) + CAST(month(one) = month(other) AS INT)
            + CAST(day(one) = day(other) AS INT) = 2 THEN 2
    ELSE 0 END;
"""


def define(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the macros on a connection."""
    connection.execute(_MACROS)
