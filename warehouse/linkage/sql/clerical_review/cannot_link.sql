-- Cannot-link constraint: pairs of profiles that a person has decided are two people.
select a, b from decided_pairs where decision = 'not_link'
