"""No request that the OpenAPI document allows, or nearly allows, is answered with 500."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_no_request_makes_the_server_fail(start, router, programmed, mode):
    members = [programmed(backend.name, lambda prompt: "yes", backend.price.price_in) for backend in router.backends]
    router.backends = tuple(members)
    served = start()
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 8
    for operation in operations:
        if mode is schemathesis.GenerationMode.NEGATIVE and not list(operation.body):
            continue  # it takes nothing that could be wrong

        @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case):
            case.call_and_validate(checks=[not_a_server_error])

        check()
