"""Requests about a video: what is asked for, as payloads of the job types that answer it, and faults back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from secondunit.daemon.http.contract.requests import Ask, some_of
from secondunit.handlers.tools.fetching.video_urls import url_identity
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.value import Value

VIDEO, LANGUAGE = "video", "language"  # the fields of a form with a file
MOST_VIDEOS = 100
URL_FIELDS = ("video_url", LANGUAGE)  # of a form, or a body, with an address


class VideoParams(Ask):
    """How the places of a video are looked for."""

    language: str | None = Field(None, description="of the subtitles and of the answer, as BCP 47 names it")
    model: str | None = Field(None, min_length=1, description="the Gemini model that is asked")


class VideoAsk(Ask):
    """A video whose places are wanted, its address as `url` or as `video_url`; or several, as `urls`."""

    model_config = ConfigDict(
        json_schema_extra=some_of(
            url={"type": "string", "minLength": 1}, video_url={"type": "string", "minLength": 1}, urls={"type": "array"}
        )
    )

    url: str | None = None
    video_url: str | None = Field(None, alias="video_url")
    urls: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=MOST_VIDEOS)] | None = (
        None
    )
    params: VideoParams | None = None


class AnalysisRequest(Value, frozen=True):
    """A video to be analysed: `identity` is the same for the same video."""

    video: Mapping[str, str]
    identity: str
    language: Any = None

    @property
    def payload(self) -> Mapping[str, Any]:
        """Of the job `analyze`."""
        return {**self.video, **({} if self.language is None else {"language": self.language})}

    @staticmethod
    def fault(fault: FieldError) -> FieldError:
        """A fault of the payload under the name of the request's own field."""
        names = {"payload.videoUrl": "video_url", "payload.videoPath": VIDEO, "payload.language": LANGUAGE}
        return FieldError(names.get(fault.field, fault.field), fault.message)


def uploaded(path: Path, digest: str, language: str | None) -> AnalysisRequest:
    """A file that came with the request."""
    return AnalysisRequest(upload_payload(path), f"sha256:{digest}", language)


def upload_payload(path: Path) -> Mapping[str, str]:
    """The payload of the job `analyze` for a file."""
    return {"videoPath": str(path)}


def given(form: Mapping[str, str]) -> Mapping[str, str]:
    """The fields of a form that hold something; the address in any case, so that it is missed by name."""
    return {name: value for name, value in form.items() if value or name == "video_url"}


def addressed(fields: Mapping[str, Any]) -> AnalysisRequest:
    """A video by its address."""
    unknown = [name for name in fields if name not in URL_FIELDS]
    if unknown:
        raise BadPayload(*(FieldError(name, f"unknown field; known are {', '.join(URL_FIELDS)}") for name in unknown))
    url = fields.get("video_url")
    if not isinstance(url, str) or not url:
        raise BadPayload(FieldError("video_url", "is required: the http(s) address of a video"))
    try:
        identity = url_identity(url)
    except ValueError as error:
        raise BadPayload(FieldError("video_url", f"is no address: {error}")) from None
    return AnalysisRequest({"videoUrl": url}, identity, fields.get(LANGUAGE))


class LocationsRequest(Value, frozen=True):
    """A video whose places are wanted; `field` is what the caller called its address."""

    field: str
    url: str
    params: Mapping[str, Any]

    @property
    def payload(self) -> Mapping[str, Any]:
        """Of the job that looks for them."""
        return {"videoUrl": self.url, **({"params": self.params} if self.params else {})}

    @property
    def language(self) -> str | None:
        """Of the subtitles and of the answer, where the caller names one."""
        return self.params.get("language")

    def model(self, usual: str) -> str:
        """The one that is asked."""
        return str(self.params.get("model", usual))

    def fault(self, fault: FieldError) -> FieldError:
        """A fault of the payload under the name that the caller wrote."""
        name = fault.field.removeprefix("payload.")
        return FieldError(self.field if name == "videoUrl" else name, fault.message)


def located(ask: VideoAsk) -> Sequence[LocationsRequest]:
    """What is asked for."""
    field = "url" if ask.video_url is None else "video_url"
    params = ask.params.model_dump(exclude_none=True) if ask.params else {}
    if ask.urls is not None:
        if ask.url is not None or ask.video_url is not None:
            raise BadPayload(FieldError("urls", f"stands in place of {field}; give one of them"))
        return [LocationsRequest(f"urls.{index}", url, params) for index, url in enumerate(ask.urls)]
    if ask.url is not None and ask.video_url is not None:
        raise BadPayload(FieldError("video_url", "is another word for url; give one of them"))
    url = ask.url or ask.video_url
    if not url:
        raise BadPayload(FieldError(field, "is required: the http(s) address of a video"))
    return [LocationsRequest(field, url, params)]
