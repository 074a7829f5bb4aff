//! Routes with a list of them, because the router itself does not tell which it has: what is reachable
//! can be held against the table of permissions.

use std::sync::Arc;

use axum::Router;
use axum::routing::MethodRouter;

use super::site::Site;
use crate::access::{self, Subject};

/// Routes of a door.
#[derive(Debug, Default)]
pub struct Routes {
    router: Router<Arc<Site>>,
    patterns: Vec<&'static str>,
}

impl Routes {
    /// With one more.
    #[must_use]
    pub fn route(mut self, pattern: &'static str, methods: MethodRouter<Arc<Site>>) -> Self {
        self.patterns.push(pattern);
        Self { router: self.router.route(pattern, methods), ..self }
    }

    /// With all of those.
    #[must_use]
    pub fn merge(mut self, others: Self) -> Self {
        self.patterns.extend(others.patterns);
        Self { router: self.router.merge(others.router), ..self }
    }

    /// The router of them. A route without a row in the table of permissions is refused to everybody: that
    /// is a mistake of ours, and told at once.
    pub fn into_router(self) -> Router<Arc<Site>> {
        for pattern in self.unlisted() {
            tracing::error!(event = "route_unlisted", route = pattern, "a route is in no row of permissions");
        }
        self.router
    }

    fn unlisted(&self) -> impl Iterator<Item = &'static str> {
        let is_listed = |pattern: &str| {
            access::TABLE
                .iter()
                .any(|rule| matches!(rule.subject, Subject::Route(_, known) if known == pattern))
        };
        self.patterns.iter().copied().filter(move |pattern| !is_listed(pattern))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::body::Body;
    use axum::extract::Request;
    use axum::routing::get;
    use http::StatusCode;
    use http::header::{ALLOW, HOST};
    use tower::ServiceExt;

    use super::super::site::{
        self,
        tests::{peer, site},
    };
    use super::*;
    use crate::access::{Guard, Settings};

    /// The methods that the router has for a pattern, asked of the router itself.
    async fn methods(router: &Router, pattern: &str) -> Vec<String> {
        let request = Request::builder().method("FROBNICATE").uri(pattern).header(HOST, "localhost");
        let request = request.extension(peer()).body(Body::empty()).expect("a request");
        let answer = router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{pattern}");
        let allowed = answer.headers()[ALLOW].to_str().expect("text").to_owned();
        allowed.split(',').map(|method| method.trim().to_owned()).collect()
    }

    #[tokio::test]
    async fn every_route_has_its_row_of_permissions_and_every_row_its_route() {
        let (site, _state) = site(&Settings::default(), Guard::Open);
        let router = site::router(&site);
        let mut reachable = BTreeSet::new();
        for pattern in site::all_routes(&site).patterns {
            for method in methods(&router, pattern).await {
                let rule = access::route(&method, pattern);
                assert!(rule.is_some(), "{method} {pattern} is in no row of src/access/table.rs");
                reachable.insert((method, pattern));
            }
        }
        for rule in access::TABLE {
            if let Subject::Route(method, pattern) = rule.subject {
                let is_reachable = reachable.contains(&(method.to_owned(), pattern));
                assert!(is_reachable, "{method} {pattern} has a row in src/access/table.rs and is no route");
            }
        }
        assert!(reachable.len() > 20, "the routes were found");
    }

    #[tokio::test]
    async fn a_route_that_the_table_does_not_know_is_refused_to_everybody() {
        let (site, _state) = site(&Settings::default(), Guard::Open);
        let routes = Routes::default().route("/new", get(|| async { "secret" }));
        assert_eq!(routes.unlisted().collect::<Vec<_>>(), ["/new"]);
        let router = site::guarded_routes(&site, routes);
        let request = Request::get("/new").header(HOST, "localhost").extension(peer());
        let request = request.body(Body::empty()).expect("a request");
        let answer = router.oneshot(request).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
}
