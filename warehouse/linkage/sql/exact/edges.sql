-- Pairs of profiles that exact identifiers, or a person's decision, make one person.
select a, b, method from edges_by_nik
union all
select a, b, method from edges_by_family_card
union all
select a, b, method from edges_by_card
union all
select a, b, method from edges_by_description
union all
select a, b, 'review' as method from decided_pairs where decision = 'link'
