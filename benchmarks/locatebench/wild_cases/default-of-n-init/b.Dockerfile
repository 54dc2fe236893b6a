FROM python:3.11-slim
RUN pip install --no-cache-dir --root-user-action=ignore numpy==1.26.4 scipy==1.13.1 joblib==1.4.2 threadpoolctl==3.5.0 scikit-learn==1.5.2
WORKDIR /app
COPY *.py ./
