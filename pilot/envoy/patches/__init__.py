"""EnvoyFilter: changes to Envoy's messages as the last step before they are bytes.

`values` reads what operators wrote, `match` says where it belongs, `merge` and `lists` change a message, `listeners`
and `routes` know what is inside one, `check` refuses what Envoy would, and `apply` is what the emitter calls: the
change of one resource, without the objects that would break it. Pure; where no patch applies nothing here runs.
"""
