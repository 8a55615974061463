"""Names of synthetic people: common given names put together at random. No real person's name is used.

Here: full names, birth places, streets. Not here: how an agency misspells them (corruption).
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def _words(text: str) -> list[str]:
    return text.split()


_MALE = _words("""
Adi Agus Ahmad Aldi Alif Andi Andika Anton Ardi Arif Aris Arya Asep Bagas Bambang Bayu Beni Budi Cahyo Candra Daffa
Dani Dedi Deni Dewa Didin Dimas Doni Eko Fadli Fahri Faisal Fajar Farhan Ferdi Galih Gilang Guntur Hadi Hafiz Hendra
Heri Ilham Imam Indra Irfan Iwan Jaka Joko Kevin Khairul Krisna Lukman Mahendra Mulyadi Nanang Nugroho Nurdin Oki
Panji Putra Raffi Rahmat Rama Rangga Rendi Reza Rian Ridwan Rizki Roni Rudi Sandi Satria Slamet Sugeng Suherman Surya
Syahrul Taufik Teguh Toni Usman Wahyu Wawan Yanto Yoga Yudi Yusuf Zaki Zulkifli André René
""")
_FEMALE = _words("""
Aisyah Alya Amelia Ana Andini Anggi Anisa Aprilia Arini Ayu Bella Cantika Cici Citra Dahlia Dede Delia Dewi Dian Dina
Dinda Eka Elis Ella Endang Eni Erna Euis Fani Fatimah Fitri Gita Hana Hani Hasna Ida Iis Ika Imas Indah Intan Ira Isna
Jihan Juju Kartika Keisha Khadijah Lala Laras Leni Lestari Lia Lilis Lina Maya Mega Melati Mila Mira Nabila Nadia
Naila Nani Neneng Nia Nina Novi Nurul Okta Putri Rahma Rani Ratna Rina Rini Rosa Safira Salma Sari Sinta Sri Susi Tari
Tiara Tika Tini Tuti Ulfa Vina Wati Wulan Yanti Yati Yuli Yuni Zahra Désy Renée
""")
_LAST = _words("""
Abdullah Adriansyah Akbar Alamsyah Anwar Arifin Aziz Bachri Basri Efendi Fadillah Fauzi Firdaus Firmansyah Gunawan
Hakim Halim Hamzah Hanafi Handoko Haryanto Hasan Hermawan Hidayat Hidayatullah Husein Ibrahim Irawan Iskandar Ismail
Jaelani Jamaludin Junaedi Kurnia Kurniawan Kusuma Kusnadi Mansur Marzuki Maulana Mubarok Mulyana Muslim Nasution
Nugraha Nurhadi Pamungkas Permana Prabowo Pradana Prasetyo Pratama Priyatna Purnama Ramadhan Rohman Rosadi Rusli
Saefudin Salim Santoso Saputra Setiawan Siregar Solihin Subagja Sudrajat Suhendra Sulaiman Supriyadi Suryana Susanto
Sutisna Syahputra Syarif Tanjung Wibowo Wijaya Winata Wirawan Yahya Yulianto Yusup Zainudin
""")
_LAST_FEMALE = _words("""
Agustina Amalia Anggraeni Apriani Astuti Aulia Azzahra Damayanti Febriani Fauziah Handayani Hasanah Hidayati Indriani
Julianti Khasanah Khoirunnisa Komalasari Kurniasih Kurniawati Lestari Maharani Maryam Maulida Meilani Mulyani Mutiara
Nuraeni Nurhasanah Nurjanah Novianti Oktaviani Permatasari Pertiwi Puspita Puspitasari Rahayu Rahmawati Ramadhani
Rohmah Rosdiana Rosmawati Safitri Salsabila Sapitri Setiawati Sholihah Suciati Suhartini Sulastri Supriatin Suryani
Susanti Susilawati Triana Utami Wahyuni Wardani Widiastuti Wulandari Yulianti Zahira Zulaikha
""")
_STREETS = _words("""
Anggrek Beringin Cempaka Cendana Dahlia Flamboyan Kenanga Kamboja Mawar Melati Merpati Nusa Pahlawan Palem Rajawali
Sawo Seruni Teratai
""")
POSYANDU = _words("""
Melati Mawar Anggrek Dahlia Kenanga Cempaka Flamboyan Teratai Bougenville Matahari Kamboja Seruni Tulip Lavender Aster
""")
# First-issue region of people born elsewhere: Kemendagri kecamatan code without dots, and the birth place they write.
BORN_ELSEWHERE = (
    ("360305", "TANGERANG"), ("360311", "TANGERANG"), ("317406", "JAKARTA"), ("317303", "JAKARTA"), ("360401",
    "SERANG"),
    ("360206", "LEBAK"), ("360112", "PANDEGLANG"), ("320105", "BOGOR"), ("327602", "DEPOK"), ("330512", "KEBUMEN"),
    ("337402", "SEMARANG"), ("331007", "KLATEN"), ("320915", "CIREBON"), ("321208", "INDRAMAYU"), ("180206", "LAMPUNG"),
    ("167105", "PALEMBANG"), ("127106", "MEDAN"), ("350616", "KEDIRI"), ("332901", "BREBES"), ("332811", "TEGAL"),
)  # fmt: skip
_MUHAMMAD_SHARE, _SITI_SHARE, _TWO_PART_SHARE = 0.20, 0.14, 0.62


def _pick(rng: np.random.Generator, words: list[str], n: int, blank: np.ndarray | None = None) -> pa.Array:
    # Squared uniform draws: a few names are common, most are rare.
    index = (rng.random(n) ** 1.6 * len(words)).astype(np.int32)
    return pa.array(words).take(pa.array(index, mask=blank))


def full_names(rng: np.random.Generator, is_female: np.ndarray) -> pa.Array:
    """One to three given names for each person, for example ``Muhammad Rizki Pratama``; UTF-8, title case."""
    n = len(is_female)
    prefix_at = rng.random(n)
    has_prefix = prefix_at < np.where(is_female, _SITI_SHARE, _MUHAMMAD_SHARE)
    prefix = pc.if_else(
        pa.array(is_female),
        _pick(rng, ["Siti", "Siti", "Nur"], n, ~has_prefix),
        _pick(rng, ["Muhammad", "Muhammad", "Mohammad", "Muhamad"], n, ~has_prefix),
    )
    first = pc.if_else(pa.array(is_female), _pick(rng, _FEMALE, n), _pick(rng, _MALE, n))
    alone = rng.random(n) > _TWO_PART_SHARE + 0.3 * has_prefix
    last = pc.if_else(pa.array(is_female), _pick(rng, _LAST_FEMALE, n, alone), _pick(rng, _LAST, n, alone))
    return pc.binary_join_element_wise(prefix, first, last, " ", null_handling="skip")


def addresses(rng: np.random.Generator, n: int) -> pa.Array:
    """Street and house number; made up, so no address is a real household's but by chance."""
    number = pa.array(rng.integers(1, 180, n)).cast(pa.string())
    street = _pick(rng, _STREETS, n)
    block = pa.array(rng.integers(1, 12, n)).cast(pa.string())
    return pc.binary_join_element_wise("JL", pc.utf8_upper(street), block, "NO", number, " ")
