//! Live reads: the answers to what a handler asks.

use std::sync::Arc;
use std::time::Duration;

use kube::Api;

use super::watch::ClusterObject;
use crate::admission::{Answer, Answers, Questions};
use crate::landscape::ClusterRecord;

/// Where answers come from.
#[derive(Clone)]
pub enum LiveReads {
    /// An API server.
    ApiServer(kube::Client),
    /// Nowhere: the folder of manifests is all there is.
    Nowhere,
}

impl LiveReads {
    /// Answers all questions of one request under one deadline. What is not answered by then stays unanswered.
    pub async fn answer(&self, questions: Questions, deadline: Duration) -> Answers {
        let cluster = match questions.cluster {
            Some(name) => Some(match tokio::time::timeout(deadline, self.cluster(&name)).await {
                Ok(answer) => answer,
                Err(_) => Answer::Unanswered(format!("no answer within {} ms", deadline.as_millis())),
            }),
            None => None,
        };
        Answers { cluster }
    }

    async fn cluster(&self, name: &str) -> Answer<Arc<ClusterRecord>> {
        let Self::ApiServer(client) = self else { return Answer::Absent };
        match Api::<ClusterObject>::all(client.clone()).get_opt(name).await {
            Ok(Some(cluster)) => Answer::Found(Arc::new(cluster.record)),
            Ok(None) => Answer::Absent,
            // The text of an error may carry addresses and names of ours; its kind is enough for whoever writes a
            // Deployment.
            Err(error) => {
                tracing::warn!(cluster = name, %error, "cannot read a Cluster");
                Answer::Unanswered(match error {
                    kube::Error::Api(status) => format!("the API server answers {}", status.code),
                    _ => "the API server does not answer".to_owned(),
                })
            }
        }
    }
}
