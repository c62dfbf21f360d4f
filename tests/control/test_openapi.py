from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema_rs import validator_for

from tests.control.api import Api
from tests.control.test_access import FIRST_VERSION, OPERATIONS


@pytest.fixture
async def document(api: Api) -> Any:
    answer = await api.client.get("/openapi.json")  # without a credential
    return answer.json()


def operations(document: Any) -> Iterator[tuple[str, Any]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


async def test_it_names_every_operation_by_a_name_of_its_own(document: Any) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(OPERATIONS + FIRST_VERSION) == len(set(names))
    assert {"listOrgs", "putWorkspace", "deleteToken", "createApiKey"} <= set(names)


async def test_every_operation_says_what_it_does_needs_and_refuses(document: Any) -> None:
    for name, operation in operations(document):
        assert operation["description"], name
        assert operation["security"] == [{"apiKey": []}, {"authorization": []}]
        assert {"400", "401", "403", "422", "429", "503"} <= operation["responses"].keys(), name
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (name, parameter["name"])
        for status, answer in operation["responses"].items():
            if status >= "400":
                schema = answer["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}, name


async def test_every_body_has_an_example_that_fits_its_schema(document: Any) -> None:
    seen = 0
    for name, operation in operations(document):
        for part in (operation.get("requestBody", {}), *operation["responses"].values()):
            for media in part.get("content", {}).values():
                schema = media["schema"] | {"components": document["components"]}
                validator_for(schema).validate(media["example"])
                assert "" not in _required_texts(media["example"]), name
                seen += 1
    assert seen > 150


async def test_every_field_is_there_with_words_or_an_example(document: Any) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field, value in schema.get("properties", {}).items():
            said = {"description", "examples", "enum", "$ref", "items", "default"} & value.keys()
            assert said or "anyOf" in value, f"{name}.{field}"


def _required_texts(example: Any) -> Iterator[str]:
    if isinstance(example, dict):
        yield from (value for key, value in example.items() if key in {"id", "code", "error", "url"})
