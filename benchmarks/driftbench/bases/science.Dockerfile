# What most cases run on: built once, so that a case costs a layer with its own files.
FROM python:3.13-slim
RUN pip install --no-cache-dir --root-user-action=ignore \
    numpy==2.3.5 scipy==1.16.3 scikit-learn==1.7.2 pandas==2.3.3 joblib==1.5.2 threadpoolctl==3.6.0
WORKDIR /app
