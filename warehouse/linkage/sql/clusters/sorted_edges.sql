-- Edges in a fixed order, and whether both ends are of one dataset.
select edges.a, edges.b, one.dataset = other.dataset as is_same_dataset
from edges
inner join profiles as one on one.id = edges.a
inner join profiles as other on other.id = edges.b
order by edges.a, edges.b
