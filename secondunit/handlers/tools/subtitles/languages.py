"""The languages that payloads name."""

from typing import Annotated

from pydantic import Field

# BCP 47 as far as anybody writes it: a language, and parts for script, region or variant.
LanguageTag = Annotated[str, Field(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$")]
