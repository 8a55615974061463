-- A branch that the register knows and macro branches() does not would be counted as nowhere.
select part
from {{ ref('service_units') }}
where kind = 'branch' and part not in ('{{ branches() | join("', '") }}')
