//! The OpenAPI document: generated from the handlers, committed beside them, and served.

use crate::error::{Refused, Unprocessable};
use axum::{http::header, response::IntoResponse};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ObjectBuilder, RefOr, Required, Schema, Type,
        path::{ParameterBuilder, ParameterIn},
        schema::AdditionalProperties,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// What `cargo run -p aione-admin --example openapi` prints; a test compares the two.
pub(crate) const COMMITTED: &str = include_str!("../openapi.json");

/// The document without its calls, which the handlers add.
pub(crate) fn frame() -> utoipa::openapi::OpenApi {
    Frame::openapi()
}

/// What writes have in common: they can be repeated, and then give the first answer again. A dry run is
/// none.
pub(crate) fn describe_writes(document: &mut utoipa::openapi::OpenApi) {
    let header = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "1 to 255 visible characters of the caller's choice. For 24 hours the same request under the same \
             key gets the first answer again, with `idempotent-replayed: true`; another body gets 409",
        ))
        .schema(Some(
            ObjectBuilder::new()
                .schema_type(Type::String)
                .min_length(Some(1))
                .max_length(Some(255))
                // HTTP takes spaces around a value away.
                .pattern(Some("^[!-~][\\t -~]*$")),
        ))
        .build();
    let writes = |path: &str| !path.ends_with("/config/check");
    for (_, path) in document.paths.paths.iter_mut().filter(|(path, _)| writes(path)) {
        for write in [&mut path.post, &mut path.put, &mut path.delete].into_iter().flatten() {
            write.parameters.get_or_insert_default().push(header.clone().into());
        }
    }
}

/// What bodies have in common: a field that nobody knows is refused.
pub(crate) fn close_bodies(document: &mut utoipa::openapi::OpenApi) {
    let schemas = document.components.iter_mut().flat_map(|components| &mut components.schemas);
    for (_, schema) in schemas.filter(|(name, _)| name.ends_with("Request")) {
        if let RefOr::T(Schema::Object(object)) = schema {
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
    }
}

/// `GET /openapi.json`. It says nothing that the source does not, so it asks for no credential.
pub(crate) async fn committed() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], COMMITTED)
}

/// What texts have in common: no control character is taken in any that has a greatest length.
pub(crate) fn describe_texts(document: &mut utoipa::openapi::OpenApi) {
    let schemas = document.components.iter_mut().flat_map(|components| &mut components.schemas);
    for (_, schema) in schemas.filter(|(name, _)| name.ends_with("Request")) {
        if let RefOr::T(Schema::Object(object)) = schema {
            object.properties.values_mut().for_each(without_controls);
        }
    }
    let paths = document.paths.paths.values_mut();
    let calls = paths.flat_map(|path| [&mut path.get, &mut path.put, &mut path.post, &mut path.delete]);
    let parameters = calls.flatten().flat_map(|call| call.parameters.iter_mut().flatten());
    for parameter in parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    }) {
        parameter.schema.iter_mut().for_each(without_controls);
    }
}

fn without_controls(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(text)) = schema
        && text.max_length.is_some()
    {
        text.pattern.get_or_insert_with(|| r"^[^\u0000-\u001f\u007f-\u009f]*$".to_owned());
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "AIone management API",
        version = "1",
        description = "Keys, usage and configuration of an AIone gateway. An operator names the \
                       organization in `x-aione-org`, by id or slug.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(Refused, Unprocessable)),
    security(("bearer" = [])),
    modifiers(&Bearer),
)]
struct Frame;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "A management token `mt-…`, an operator token, or for `/gateway/key` an inference key",
            ))
            .build();
        if let Some(components) = &mut document.components {
            components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        }
    }
}
