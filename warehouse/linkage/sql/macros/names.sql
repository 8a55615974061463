-- When two spellings are one name.

-- Letters and numbers, without degrees behind a comma, titles in front, accents and apostrophes. Of what stands behind a comma
-- only numbers stay: they count the babies of one mother who have no name yet.
create or replace temp macro name_letters(text) as trim(regexp_replace(
    regexp_replace(
        upper(strip_accents(
            split_part(text, ',', 1) || regexp_replace(text[strpos(text || ',', ','):], '[^0-9]+', ' ', 'g')
        )),
        '[''`´’]',
        '',
        'g'
    ),
    '[^A-Z0-9]+',
    ' ',
    'g'
));

-- Of a baby who goes by the mother's name.
create or replace temp macro is_unnamed(text) as coalesce(
    regexp_matches(name_letters(text), '^((AN|ALM|ALMH) )*(BAYI|BY|BBL|KEMBAR)\b'), false
);

-- Which of several babies a name means, as a number, however it is written: KEMBAR II, BY NY ANI B, KE-2.
create or replace temp macro with_place_among_babies(letters) as regexp_replace(
    regexp_replace(
        regexp_replace(
            case
                when regexp_matches(letters, '^((AN|ALM|ALMH) )*(BAYI|BY|BBL|KEMBAR)\b') then regexp_replace(
                    regexp_replace(
                        regexp_replace(letters, ' (I|A)$', ' 1'),
                        ' B$', ' 2'
                    ),
                    ' C$', ' 3'
                )
                else letters
            end,
            ' (SATU|KESATU|PERTAMA|KE ?1)$', ' 1'
        ),
        ' (II|DUA|KEDUA|KE ?2)$', ' 2'
    ),
    ' (III|TIGA|KETIGA|KE ?3)$', ' 3'
);

-- Without what is written before a name by courtesy or office, and the many forms of Muhammad as one: a lone M stands for it
-- only at the start.
create or replace temp macro name_spelt_out(text) as regexp_replace(
    regexp_replace(
        regexp_replace(
            with_place_among_babies(name_letters(text)),
            '^((H|HJ|KH|DRS|DRA|DR|IR|PROF|ALM|ALMH|TN|NY|NN|BPK|BAPAK|IBU|SDR|SDRI|AN|BAYI|BY|BBL|KEMBAR) )+',
            ''
        ),
        '^M ',
        'MUHAMMAD '
    ),
    '\b(MUH|MOH|MHD|MHMD|MOHD|MOCH|MUCH|MUHAMAD|MUHAMMED|MOHAMAD|MOHAMMAD|MOHAMMED'
    || '|MOCHAMAD|MOCHAMMAD|MUCHAMAD|MUCHAMMAD)\b',
    'MUHAMMAD',
    'g'
);

-- The words of a name in alphabetical order, numbers first: swapped parts are the same name. Null where there is no letter.
create or replace temp macro name_key(text) as
case when regexp_matches(name_spelt_out(text), '[A-Z]')
    then array_to_string(list_sort(string_split(name_spelt_out(text), ' ')), ' ')
end;

-- The same letters in the order they were written, for a slip that changes where a word begins.
create or replace temp macro name_line(text) as
case when regexp_matches(name_spelt_out(text), '[A-Z]') then replace(name_spelt_out(text), ' ', '') end;

-- The numbers of a key: they tell babies of one mother apart. Empty where a name has none.
create or replace temp macro name_number(key) as trim(regexp_extract(key, '^([0-9]+( |$))*'));

create or replace temp macro has_word_more(one, other) as
list_has_all(string_split(one, ' '), string_split(other, ' '))
or list_has_all(string_split(other, ' '), string_split(one, ' '));

-- How alike two names are, 0 to 1, by whichever order of their words is the more alike.
create or replace temp macro name_likeness(key, other_key, line, other_line) as
greatest(jaro_winkler_similarity(key, other_key), jaro_winkler_similarity(line, other_line));

-- 3 the same, 2 a slip or a word more, 1 alike, 0 another name; null where one is missing. A number is no slip: another one is
-- another name.
create or replace temp macro name_agreement(key, other_key, line, other_line) as
case
    when key is null or other_key is null then null
    when key = other_key then 3
    when name_number(key) <> name_number(other_key) then 0
    when name_likeness(key, other_key, line, other_line) >= 0.92 or has_word_more(key, other_key) then 2
    when name_likeness(key, other_key, line, other_line) >= 0.8 or damerau_levenshtein(line, other_line) <= 1 then 1
    else 0
end;
