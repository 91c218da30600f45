//! The first topic row: a superuser who creates one finds the collection made.

use std::rc::Rc;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::Method;
use futures_util::future::{Either, LocalBoxFuture, Ready, ready};

use super::{Live, collections};
use crate::http::Caller;

const PATH: &str = "/api/collections/_topics/records";

/// The middleware, to be wrapped around the scope of the API. It looks at the path of a request and does nothing more,
/// unless it is the one.
#[derive(Clone)]
pub struct OnDemand(Live);

impl OnDemand {
    /// Makes the collections by this handle.
    #[must_use]
    pub fn new(live: Live) -> Self {
        Self(live)
    }
}

impl<S, B> Transform<S, ServiceRequest> for OnDemand
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = OnDemandService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(OnDemandService {
            service: Rc::new(service),
            live: self.0.clone(),
        }))
    }
}

/// [`OnDemand`] around a service.
pub struct OnDemandService<S> {
    service: Rc<S>,
    live: Live,
}

impl<S, B> Service<ServiceRequest> for OnDemandService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = Either<S::Future, LocalBoxFuture<'static, Result<Self::Response, Error>>>;

    forward_ready!(service);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let is_needed = request.path() == PATH
            && *request.method() == Method::POST
            && !collections::are_there(&self.live.engine().schema());
        if !is_needed {
            return Either::Left(self.service.call(request));
        }
        let (service, live) = (Rc::clone(&self.service), self.live.clone());
        Either::Right(Box::pin(async move {
            if request.extract::<Caller>().await?.is_superuser()
                && let Err(error) = live.ensure_topics().await
            {
                tracing::warn!(%error, "the collection of topics cannot be made");
            }
            service.call(request).await
        }))
    }
}
