-- How far each exact method can be trusted, not a probability: an equal NIK is proof, an equal description within one dataset is
-- as good as a clerk's. Null for a score.
create or replace temp macro exact_weight(method) as cast(
    case method
        when 'nik' then 1.0
        when 'family_card' then 0.98
        when 'card' then 0.97
        when 'description' then 0.95
        when 'review' then 1.0
    end as double
);

-- Which of several exact methods names a link: the lowest.
create or replace temp macro exact_rank(method) as
list_position(['nik', 'family_card', 'card', 'description', 'review'], method);
