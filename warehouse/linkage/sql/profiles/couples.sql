-- One row per family card of the registry: head (1) and partner (2), who are the parents of the card's children.
select
    kk_key,
    arg_min(name_key, (relation, name_key)) filter (where sex = 'L') as father,
    arg_min(name_key, (relation, name_key)) filter (where sex = 'P') as mother
from cleaned
inner join placed using (record_key)
where dataset = getvariable('registry') and relation in ('1', '2') and kk_key is not null
group by kk_key
