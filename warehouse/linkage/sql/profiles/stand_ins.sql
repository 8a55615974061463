-- Numbers that so many different people go by that they are stand-ins of some office, not anybody's NIK.
select nik_key
from cleaned
where nik_key is not null
group by nik_key
having count(distinct row(name_key, birth)) > getvariable('stand_in_bearers')
