"""Region names and codes as SQL macros for derivations: from what an agency writes to the dotted Kemendagri code.

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
    names = ("regions.csv", "region_aliases.csv", "regencies.csv")
    codes, aliases, regencies = (settings.seeds_dir / name for name in names)
    for path in (codes, aliases, regencies):
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
    listed = sorted(part.kelurahan) if part else None
    connection.execute(_EXPECTED, [str(codes), f"{settings.region}.", listed, listed])
    connection.execute(_NAMES, [str(aliases)])
    connection.execute(_ELSEWHERE, [str(regencies)])
    connection.execute(_MACROS)
