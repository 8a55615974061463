-- Cluster records that Splink compares: people without a number, whoever of the others they could meet, and numbers near each
-- other. Everybody else is known by number, and two whole numbers are two people.
select * from unnumbered
union all
select * from cluster_records
where
    nik is not null
    and (
        (birth_key, first_letter) in (select (birth_key, first_letter) from unnumbered)
        or (birth_key, last_letter) in (select (birth_key, last_letter) from unnumbered)
        or (name_key, birth_month) in (select (name_key, birth_month) from unnumbered)
        or (name_key, birth_year_day) in (select (name_key, birth_year_day) from unnumbered)
        or (name_key, birth_day) in (select (name_key, birth_day) from unnumbered)
        or (father, mother, birth_month) in (
            select (father, mother, birth_month) from unnumbered where father is not null and mother is not null
        )
        or cluster in (
            select one from near_numbers
            union all
            select other from near_numbers
        )
    )
