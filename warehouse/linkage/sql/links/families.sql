-- One row per family card.
select kk_key as family, pseudonym('family', kk_key) as family_key
from (select distinct kk_key from records where kk_key is not null) as known
