-- One row per pair of profiles that somebody decided on: the newest decision counts.
select
    least(left_id, right_id) as a,
    greatest(left_id, right_id) as b,
    arg_max(decision, number) as decision
from (
    select
        decisions.number,
        decisions.decision,
        coalesce(left_record.id, left_mark.id) as left_id,
        coalesce(right_record.id, right_mark.id) as right_id
    from decisions
    left join decided_profiles as left_record on left_record.key = decisions.left_record_key
    left join decided_profiles as left_mark on left_mark.key = decisions.left_profile_key
    left join decided_profiles as right_record on right_record.key = decisions.right_record_key
    left join decided_profiles as right_mark on right_mark.key = decisions.right_profile_key
) as sides
where left_id <> right_id
group by a, b
