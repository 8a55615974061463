"""What parsing gives back, what readers hand over to it, and the words for what cannot be read.

No text here takes a value from a delivery: only names that a contract holds, and numbers of records.
"""

from dataclasses import dataclass, field

import pyarrow as pa

from warehouse.core.contract import Contract
from warehouse.core.errors import UnreadableDelivery


@dataclass(frozen=True)
class RefusedRow:
    """A record that could not be split into fields; ``source_row`` is its place in the sender's file."""

    source_part: str | None
    source_row: int
    rule_code: str


@dataclass(frozen=True)
class Parsed:
    """A delivery as a table. ``rows_read == table.num_rows + len(refused)``, always.

    ``table`` has every file column of the contract as TEXT (NULL where absent, empty or a null token), ``source_part``
    TEXT (a workbook's sheet, else NULL) and ``source_row`` BIGINT: the 1-based record in the sender's file, title and
    header rows counted; in JSON the record's ordinal over all pages.
    ``version`` is the contract's version whose header the file has; its columns are the table's.
    ``missing_headers`` are optional columns that the file lacks; ``unknown_headers`` were not read (digits hidden), nor
    were hidden sheets, which stand among them.
    """

    table: pa.Table
    rows_read: int
    refused: list[RefusedRow]
    unknown_headers: list[str]
    missing_headers: list[str]
    shape: str
    encoding: str | None
    version: str


@dataclass
class Content:
    """What a reader found: raw cells by contract column, not yet trimmed or cleared of null tokens."""

    cells: dict[str, pa.Array | pa.ChunkedArray]
    source_part: pa.Array
    source_row: pa.Array
    unknown_headers: list[str]
    refused: list[RefusedRow] = field(default_factory=list)
    encoding: str | None = None


@dataclass
class Record:
    """One record of a tree-shaped answer: its place and its fields by header, all text."""

    source_row: int
    fields: dict[str, str | None]


FIELD_COUNT = "PARSE_FIELD_COUNT"
LINE_BREAK = "PARSE_LINE_BREAK"
ERROR_CELL = "PARSE_ERROR_CELL"
NO_RESULT = "PARSE_NO_RESULT"
NOT_A_RECORD = "PARSE_NOT_A_RECORD"
UNKNOWN_KEY = "PARSE_UNKNOWN_KEY"
# Why a record could not be split into fields, for people.
REFUSED = {
    FIELD_COUNT: (
        "Jumlah kolom pada baris berbeda dari judulnya.",
        "The row has more or fewer columns than the header.",
    ),
    LINE_BREAK: ("Ada sel yang memuat ganti baris.", "A cell holds a line break."),
    ERROR_CELL: (
        "Ada sel berisi galat (#N/A, #DIV/0!) atau catatan lain, bukan nilai.",
        "A cell holds an error (#N/A, #DIV/0!) or another record instead of a value.",
    ),
    NO_RESULT: ("Ada sel rumus tanpa hasil tersimpan.", "A cell is a formula without a stored result."),
    NOT_A_RECORD: (
        "Jawaban layanan memuat catatan yang bukan data.",
        "The service's answer has records that are no data.",
    ),
    UNKNOWN_KEY: ("Ada angka tanpa wilayah yang dikenal.", "A figure belongs to no known region."),
}

SEND_AGAIN = ("Minta pengirim mengirim ulang berkas itu.", "Ask the sender for the file again.")
_TEXTS = {
    "PARSE_EMPTY": (
        "Berkas kosong: tidak ada satu pun baris data.",
        "The file is empty: it has not one row of data.",
        "Tanyakan kepada pengirim apakah memang tidak ada data.",
        "Ask the sender whether there are no data.",
    ),
    "PARSE_NO_RECORDS": (
        "Jawaban berisi {detail} butir, tetapi tidak satu pun berupa baris data.",
        "The answer holds {detail} items, and not one of them is a record.",
        "Periksa permintaan dan hak akses; bila susunannya berubah, kontrak data diperbarui lebih dahulu.",
        "Check the request and the permission; if its layout has changed, the contract is updated first.",
    ),
    "PARSE_HTML": (
        "Isi berkas adalah halaman web atau dokumen XML, bukan data: biasanya halaman galat atau halaman masuk.",
        "The file is a web page or an XML document, not data: usually an error or login page.",
        "Ambil ulang data; bila berulang, hubungi pengelola layanan.",
        "Fetch the data again; if it persists, call the service's operator.",
    ),
    "PARSE_WRONG_FORMAT": (
        "Jenis berkas bukan yang disepakati.",
        "The kind of file is not one that was agreed.",
        "Kirim dalam bentuk: {detail}.",
        "Send it as: {detail}.",
    ),
    "PARSE_NOT_XLSX": (
        "Berkas bukan buku kerja XLSX yang dapat dibuka (misalnya format XLS lama atau diberi kata sandi).",
        "The file is no XLSX workbook that can be opened (for example the old XLS format, or it has a password).",
        "Simpan ulang sebagai .xlsx tanpa kata sandi.",
        "Save it again as .xlsx without a password.",
    ),
    "PARSE_TRUNCATED": (
        "Berkas terpotong atau rusak.",
        "The file is cut off or damaged.",
        *SEND_AGAIN,
    ),
    "PARSE_TOO_LARGE": (
        "Isi berkas setelah dibuka melebihi {detail}.",
        "Unpacked, the file is larger than {detail}.",
        "Bagi berkas menjadi beberapa bagian, atau buang lembar dan baris kosong yang berformat.",
        "Split the file, or remove formatted empty rows and sheets.",
    ),
    "PARSE_HIDDEN_ROWS": (
        "Lembar memuat baris data yang tersembunyi atau tersaring ({detail} baris).",
        "A sheet has rows of data that are hidden or filtered out ({detail} rows).",
        "Tampilkan semua baris atau hapus yang tidak dimaksud, lalu kirim ulang.",
        "Show all rows, or delete those not meant, then send again.",
    ),
    "PARSE_DATES_EXCHANGED": (
        "Hari dan bulan tertukar pada sebagian baris kolom {detail}: lembar kerja memakai format bulan/hari.",
        "Day and month are exchanged in part of the rows of column {detail}: the spreadsheet reads month/day.",
        "Buka ekspor asli dengan format tanggal Indonesia (hari/bulan), atau kirim ekspor asli tanpa membukanya.",
        "Open the original export with day/month dates, or send the original export without opening it.",
    ),
    "PARSE_MONTH_FIRST": (
        "Tanggal pada kolom {detail} ditulis bulan lebih dahulu (bulan/hari/tahun).",
        "The dates of column {detail} are written month first (month/day/year).",
        "Kirim ulang dengan tanggal hari/bulan/tahun atau tahun-bulan-hari.",
        "Send again with dates as day/month/year or year-month-day.",
    ),
    "PARSE_IMPOSSIBLE_CELL": (
        "Ada sel tanggal atau angka yang tidak mungkin (misalnya tak hingga) sehingga lembar kerja tidak dapat dibaca.",
        "A cell holds an impossible date or number (for example infinity), so that the sheet cannot be read.",
        "Perbaiki sel tanggal di lembar kerja, lalu kirim ulang.",
        "Correct the dates in the sheet, then send it again.",
    ),
    "PARSE_UNFORESEEN": (
        "Berkas tidak dapat dinilai: pembacanya berhenti karena hal yang tidak terduga ({detail}).",
        "The file could not be judged: its reader ended in a way nobody foresaw ({detail}).",
        "Minta berkas baru dari pengirim; teknisi mencari sebabnya lalu menilai ulang.",
        "Ask the sender for a new file; an engineer looks for the cause and judges again.",
    ),
    "PARSE_ONLY_HIDDEN": (
        "Data hanya ada di lembar yang tersembunyi ({detail}).",
        "The only data stand on a hidden sheet ({detail}).",
        "Tampilkan lembar yang dimaksud, lalu kirim ulang.",
        "Show the sheet that is meant, then send it again.",
    ),
    "PARSE_ENCODING": (
        "Huruf di dalam berkas tidak dapat dibaca; yang disepakati: {detail}.",
        "The characters of the file cannot be read; agreed are: {detail}.",
        "Simpan ulang sebagai CSV UTF-8.",
        "Save it again as CSV UTF-8.",
    ),
    "PARSE_MIXED_ENCODINGS": (
        "Berkas memuat dua cara menulis huruf sekaligus: sebagian barisnya UTF-8, sebagian bukan.",
        "The file mixes two encodings: part of its lines is UTF-8 and part is not.",
        "Simpan ulang seluruh berkas sebagai CSV UTF-8.",
        "Save the whole file again as CSV UTF-8.",
    ),
    "PARSE_OPEN_QUOTE": (
        "Ada tanda kutip liar: sejak catatan {detail} beberapa catatan menjadi satu sel.",
        "There is a stray quotation mark: from record {detail} on several records are in one cell.",
        "Ekspor ulang tanpa mengubah berkas dengan tangan.",
        "Export it again without editing it by hand.",
    ),
    "PARSE_DELIMITER": (
        "Pemisah kolom bukan yang disepakati ({detail}).",
        "The column separator is not one that was agreed ({detail}).",
        "Ekspor ulang dengan pemisah yang disepakati.",
        "Export it again with an agreed separator.",
    ),
    "PARSE_MISSING_COLUMNS": (
        "Kolom wajib tidak ditemukan: {detail}.",
        "Required columns were not found: {detail}.",
        "Pakai judul kolom asli dari aplikasi; bila formatnya berubah, kontrak data diperbarui lebih dahulu.",
        "Use the application's own headers; if the format has changed, the contract is updated first.",
    ),
    "PARSE_NO_HEADER": (
        "Tidak ada baris judul: tidak satu pun kolom kontrak ditemukan di tempat judul seharusnya berada.",
        "There is no header row: not one column of the contract was found where the header should stand.",
        "Pakai berkas seperti diekspor aplikasi, dengan judul kolomnya dan tanpa baris tambahan di atasnya.",
        "Use the file as the application exports it, with its header and no further lines above.",
    ),
    "PARSE_UNKNOWN_LAYOUT": (
        "Berkas tidak sesuai dengan satu pun versi kontrak. Kolom yang tidak ditemukan: {detail}.",
        "The file is of no version of the contract. Columns that were not found: {detail}.",
        "Pakai judul kolom asli dari aplikasi; bila formatnya baru, kontrak data diberi versi baru lebih dahulu.",
        "Use the application's own headers; if the format is new, the contract gets a new version first.",
    ),
    "PARSE_WRONG_DATASET": (
        "Berkas ini tampaknya milik dataset lain: {detail}.",
        "This file seems to be of another dataset: {detail}.",
        "Kirim berkas yang benar, atau kirim ulang lewat dataset itu.",
        "Send the right file, or send this one as that dataset.",
    ),
    "PARSE_REFUSED_COLUMN": (
        "Berkas memuat kolom pribadi yang tidak boleh dikirim: {detail}.",
        "The file has personal columns that must not be sent: {detail}.",
        "Hapus kolom itu lalu kirim ulang; salinan ini ditahan.",
        "Remove those columns and send again; this copy is held.",
    ),
    "PARSE_DUPLICATE_COLUMN": (
        "Judul kolom yang sama ada lebih dari sekali: {detail}.",
        "The same header is there more than once: {detail}.",
        "Sisakan satu kolom dengan judul itu.",
        "Leave one column with that header.",
    ),
    "PARSE_NOT_JSON": (
        "Jawaban bukan JSON yang utuh (halaman {detail}).",
        "The answer is not whole JSON (page {detail}).",
        "Ambil ulang data; bila berulang, hubungi pengelola layanan.",
        "Fetch the data again; if it persists, call the service's operator.",
    ),
    "PARSE_NOT_DATA": (
        "Jawaban berupa JSON tetapi bukan data yang diminta (halaman {detail}).",
        "The answer is JSON but not the data asked for (page {detail}).",
        "Periksa permintaan dan hak akses; layanan mungkin menjawab dengan pesan galat.",
        "Check the request and the permission; the service may have answered with an error message.",
    ),
    "PARSE_INCOMPLETE": (
        "Jawaban menyatakan jumlah data lain daripada isinya, atau bahwa masih ada lanjutannya ({detail}).",
        "The answer states another number of records than it holds, or that more follow ({detail}).",
        "Ambil semua halamannya, atau minta berkas yang utuh kepada pengirim.",
        "Fetch all of its pages, or ask the sender for the whole file.",
    ),
    "PARSE_NULL_ANSWER": (
        "Layanan menjawab null: permintaannya terlalu besar (halaman {detail}).",
        "The service answered null: the request was too large (page {detail}).",
        "Minta lebih sedikit tahun sekaligus.",
        "Ask for fewer years at once.",
    ),
}


def unreadable(code: str, detail: str = "") -> UnreadableDelivery:
    """The error for a delivery that cannot be read; ``detail`` holds contract names and counts only."""
    error = UnreadableDelivery(code, *(text.format(detail=detail) for text in _TEXTS[code]))
    error.detail = detail
    return error


def names(headers: list[str]) -> str:
    return ", ".join(headers)


def file_headers(contract: Contract) -> dict[str, str]:
    """Column name -> the header a sender knows it by."""
    return {column.name: column.header or column.name for column in contract.file_columns}
