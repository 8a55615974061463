-- Whether two records with one number are of one bearer.

create or replace temp macro is_same_bearer(key, other_key, line, other_line, birth, other_birth) as (
    name_agreement(key, other_key, line, other_line) >= 2 and coalesce(birth_agreement(birth, other_birth), 3) >= 2
    or coalesce(name_agreement(key, other_key, line, other_line), 1) = 1
    and coalesce(birth_agreement(birth, other_birth), 3) = 3
);

-- L or P from the codes of all agencies; null for what is neither.
create or replace temp macro sex_of(code) as
case upper(code) when 'L' then 'L' when '1' then 'L' when 'P' then 'P' when '2' then 'P' end;

-- Another sex is another bearer, unless the number itself says that one of the two was mistyped: of babies without a name it
-- says nothing, twins go by one.
create or replace temp macro is_other_sex(sex, other_sex, is_own, other_is_own, is_unnamed, other_is_unnamed) as coalesce(
    sex <> other_sex and (is_unnamed or other_is_unnamed or not (is_own or other_is_own)), false
);

-- Not for two numbers that people could mistake for each other: a digit wrong, or two exchanged.
create or replace temp macro is_other_nik(nik, other_nik) as (
    nik is not null and other_nik is not null and hamming(nik, other_nik) > 2
);

-- What was compared of a record; a registry child's parents come from others' rows and stay out.
create or replace temp macro profile_text(dataset, name_key, birth, sex, kk_key, father, mother, card, nik) as concat_ws(
    '|', dataset, name_key, birth, sex, case when kk_key is null then concat_ws('/', father, mother) end, card, nik
);
