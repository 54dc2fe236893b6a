"""Classify reviews."""

from features import Buckets
from output import save
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

WORDS = ["good", "bad", "fine", "poor", "great", "awful", "nice", "dull", "bright", "slow"]
texts = [f"{WORDS[n % 10]} {WORDS[n * 7 % 10]} {WORDS[n * 3 % 10]}" for n in range(60)]
labels = [int("good" in text or "great" in text) for text in texts]
model = make_pipeline(Buckets(6), LogisticRegression())
model.fit(texts, labels)
save({"scores": model.predict_proba(texts)[:, 1].round(6).tolist()})
