"""Region names and codes as SQL macros for derivations: from what an agency writes to the dotted Kemendagri code, and
whether the puskesmas, polsek or branch it names is the part that a delivery is of.

The lists are dbt's seeds, read as text. The macros give NULL for what they do not know; they never guess.
"""

import duckdb

from warehouse.core.errors import ConfigError
from warehouse.core.settings import Settings
from warehouse.storage import sample

# Names are compared without case, spaces and punctuation, and without a leading "Kel." or "Kec.". Table columns carry
# a double underscore because a macro's argument is resolved inside its subquery, where a plain name could be ours.
_KEY = r"""
CREATE MACRO region_key(name) AS regexp_replace(
    regexp_replace(upper(name), '^\s*(KELURAHAN|KECAMATAN|DESA|KEL|KEC)[. ]+', ''), '[^A-Z0-9]', '', 'g')
"""

_CODES = """
CREATE TABLE region__codes AS
SELECT kemendagri_code AS region__code, replace(kemendagri_code, '.', '') AS region__undotted, bps_code AS region__bps
FROM read_csv(?, all_varchar = true, header = true) WHERE is_unplaced <> 'true'
"""

_EXPECTED = """
CREATE TABLE region__expected AS
SELECT kemendagri_code AS region__code
FROM read_csv(?, all_varchar = true, header = true)
WHERE area_level = 'kelurahan' AND is_unplaced <> 'true' AND starts_with(kemendagri_code, ?)
  AND (CAST(? AS VARCHAR[]) IS NULL OR kemendagri_code IN (SELECT unnest(CAST(? AS VARCHAR[]))))
"""

_NAMES = """
CREATE TABLE region__names AS
WITH aliases AS (
    SELECT DISTINCT level AS region__level, region_key(alias) AS region__key, kemendagri_code AS region__code
    FROM read_csv(?, all_varchar = true, header = true)
)
-- A kelurahan once for every spelling of its kecamatan.
SELECT aliases.*, parents.region__key AS region__parent_key
FROM aliases
LEFT JOIN aliases AS parents
  ON aliases.region__level = 'kelurahan' AND parents.region__level = 'kecamatan'
 AND parents.region__code = aliases.region__code[1:8]
"""

# A bare "Tangerang" may be the city or the regency around it.
_ELSEWHERE = """
CREATE TABLE region__elsewhere AS
SELECT DISTINCT regexp_replace(upper(name), '[^A-Z]', '', 'g') AS region__name
FROM read_csv(?, all_varchar = true, header = true) WHERE name <> 'Tangerang'
"""

_UNITS = """
CREATE TABLE unit__names AS
SELECT kind AS unit__kind, part AS unit__part, unit_key(unnest([part, name])) AS unit__key,
       kemendagri_code[1:8] AS unit__kecamatan
FROM read_csv(?, all_varchar = true, header = true)
"""

# A unit is named with and without what kind of unit it is, and by the name of its place in any of its spellings.
_UNIT_KEY = r"""
CREATE MACRO unit_key(name) AS nullif(regexp_replace(regexp_replace(upper(name),
    '\b(UPTD?|UPT\.?D?|PUSKESMAS|PUKESMAS|PKM|POLSEK|POLSEKTOR|BPJS|BPJAMSOSTEK|KETENAGAKERJAAN|KANTOR|CABANG|KACAB|KCP?'
    || '|KEC(AMATAN)?|KOTA TANGERANG$)\b\.?', '', 'g'), '[^A-Z0-9]', '', 'g'), '')
"""

_UNIT_MACROS = """
CREATE MACRO is_unit(of_kind, named, asked) AS CASE
    WHEN unit_key(named) IS NULL OR NOT EXISTS (
        SELECT 1 FROM unit__names WHERE unit__kind = of_kind AND unit__part = asked) THEN NULL
    ELSE EXISTS (
        SELECT 1 FROM unit__names
        WHERE unit__kind = of_kind AND unit__part = asked AND unit__key = unit_key(named))
    OR EXISTS (
        SELECT 1 FROM region__names AS spelling__one JOIN region__names AS spelling__two
          ON spelling__one.region__level = spelling__two.region__level
         AND spelling__one.region__code = spelling__two.region__code
        WHERE spelling__one.region__key = unit_key(named) AND spelling__two.region__key = unit_key(asked))
    END;

CREATE MACRO unit_kecamatan(of_kind, named) AS coalesce(
    (SELECT min(unit__kecamatan) FROM unit__names WHERE unit__kind = of_kind AND unit__key = unit_key(named)),
    kecamatan_code(unit_key(named)), kelurahan_code(NULL, unit_key(named))[1:8]);
"""

_MACROS = r"""
CREATE MACRO kecamatan_code(kecamatan) AS (
    SELECT CASE WHEN min(region__code) = max(region__code) THEN min(region__code) END FROM region__names
    WHERE region__level = 'kecamatan' AND region__key = region_key(kecamatan));

CREATE MACRO kelurahan_code(kecamatan, kelurahan) AS (
    SELECT CASE WHEN min(region__code) = max(region__code) THEN min(region__code) END FROM region__names
    WHERE region__level = 'kelurahan' AND region__key = region_key(kelurahan)
      AND region__parent_key = coalesce(region_key(kecamatan), region__parent_key));

CREATE MACRO region_letters(name) AS regexp_replace(
    regexp_replace(
        regexp_replace(upper(strip_accents(name)), '[^A-Z]', '', 'g'), '(PROV(INSI)?)?(BANTEN)?(INDONESIA)?$', ''),
    '^(PROV(INSI)?)?BANTEN', '');

CREATE MACRO region_is_here(letters) AS CASE
    WHEN regexp_full_match(letters, '((KAB(UPATEN)?)?KOTA(MADYA)?|KODYA|PEMKOT)TANG+ERANG|TANG+ERANGKOTA') THEN true
    WHEN regexp_full_match(letters, 'KAB(UPATEN)?TANG+ERANG|(KOTA)?(TANG+ERANGSEL(ATAN)?|TANGSEL)')
        OR regexp_matches(letters, '^(KOTA)?(ADM(INISTRASI)?)?(DKI)?JAKARTA') THEN false
    WHEN (SELECT count(*) > 0 FROM region__elsewhere WHERE region__name IN (
        letters, regexp_replace(letters, '^KAB(UPATEN)?', ''),
        regexp_replace(letters, '^(KOTA(MADYA)?|KODYA)(ADM(INISTRASI)?)?', ''))) THEN false
    END;

CREATE MACRO lives_here(city) AS coalesce(
    region_is_here(region_letters(city)), region_is_here(region_letters(regexp_extract(city, '^[^,(;/]+'))));

CREATE MACRO region_code_from_undotted(digits) AS (
    SELECT min(region__code) FROM region__codes WHERE region__undotted = regexp_replace(trim(digits), '\.0$', ''));

CREATE MACRO region_code_from_bps(digits) AS (
    SELECT min(region__code) FROM region__codes WHERE region__bps = regexp_replace(trim(digits), '\.0$', ''));

CREATE MACRO expected_kelurahan() AS (SELECT count(*) FROM region__expected);

CREATE MACRO expected_kecamatan() AS (SELECT count(DISTINCT region__code[1:8]) FROM region__expected);
"""


def install(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Create the region macros on a connection; raises ConfigError SEEDS_MISSING."""
    names = ("regions.csv", "region_aliases.csv", "regencies.csv", "service_units.csv")
    codes, aliases, regencies, units = (settings.seeds_dir / name for name in names)
    for path in (codes, aliases, regencies, units):
        if not path.is_file():
            raise ConfigError(
                "SEEDS_MISSING",
                f"Daftar wilayah {path.name} tidak ditemukan.",
                f"The region list {path.name} was not found.",
                "Ambil kembali berkas itu dari repositori.",
                "Restore the file from the repository.",
            )
    connection.execute(_KEY)
    connection.execute(_CODES, [str(codes)])
    part = sample.declared(settings)
    kelurahan_codes = sorted(part.kelurahan) if part else None
    connection.execute(_EXPECTED, [str(codes), f"{settings.region}.", kelurahan_codes, kelurahan_codes])
    connection.execute(_NAMES, [str(aliases)])
    connection.execute(_ELSEWHERE, [str(regencies)])
    connection.execute(_MACROS)
    connection.execute(_UNIT_KEY)
    connection.execute(_UNITS, [str(units)])
    connection.execute(_UNIT_MACROS)
